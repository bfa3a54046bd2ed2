// A function that ends in every way there is.
const { spawn } = require('child_process');
const fs = require('fs');

if (process.env.FAIL === 'init') {
  throw new Error('cannot begin');
}
if (process.env.FAIL === 'wait') {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

let calls = 0;
const kept = [];

function tell(event, context) {
  const tmp = fs.statfsSync('/tmp');
  return {
    ...context,
    calls,
    text: event.text,
    directory: process.cwd(),
    variables: process.env,
    room: tmp.blocks * tmp.bsize,
  };
}

exports.main_handler = async (event, context) => {
  calls += 1;
  switch (event.do) {
    case 'tell':
      return tell(event, context);
    case 'print':
      console.log('to standard output');
      console.error('to standard error');
      return null;
    case 'large':
      return 'x'.repeat(event.size);
    case 'throw':
      throw new Error('thrown on purpose');
    case 'hang': {
      const children = [false, true].map((detached) => spawn('sleep', ['600'], { detached, stdio: 'ignore' }).pid);
      fs.writeFileSync(event.pids, [process.pid, ...children].join(' '));
      return new Promise(() => {});
    }
    case 'memory':
      for (;;) {
        kept.push(Buffer.alloc(1 << 20, 1));
      }
    case 'exit':
      process.exit(7);
  }
};
