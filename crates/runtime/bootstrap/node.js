// Runs a Node.js handler as SCF does (scf.md 5.4), for Node.js 12 and later.
//
// Started by the runtime with one private variable, COSETTE_BOOT. Talks to its host over the
// custom-runtime protocol. While a handler runs, nothing of ours keeps the event loop alive:
// that the loop is empty is how the end of a callback-style handler is seen.
'use strict';

const fs = require('fs');
const http = require('http');
const path = require('path');
const util = require('util');
const { Writable } = require('stream');
const { pathToFileURL } = require('url');

const boot = JSON.parse(process.env.COSETTE_BOOT);
delete process.env.COSETTE_BOOT;
if (boot.gateway && boot.gateway.redirects) require('./home.js').install(boot.gateway.port);

const ROOT = boot.code;
const SHOWN_ROOT = '/var/user';
// User code may replace any of these.
const { request } = http;
const { writeSync } = fs;
const { format, inspect } = util;
const exit = process.exit.bind(process);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

let handler = null;
// The invocation in progress: { id, reply } where reply is null until the first outcome is known.
let invocation = null;
let lineId = boot.request_id;

// ---- output: always written before the call returns, so that order is kept and nothing is lost ----

function writeAll(fd, bytes) {
  let at = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      // A child process that shares the pipe made it non-blocking.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

function outputStream(fd) {
  const stream = new Writable({
    write(chunk, _encoding, done) {
      try {
        writeAll(fd, chunk);
      } catch (error) {
        done(error);
        return;
      }
      done();
    },
  });
  stream.fd = fd;
  stream.on('error', () => {});
  return stream;
}

for (const [name, fd] of [['stdout', 1], ['stderr', 2]]) {
  const stream = outputStream(fd);
  Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => stream });
}
for (const [name, fd] of [['log', 1], ['info', 1], ['debug', 1], ['warn', 2], ['error', 2]]) {
  console[name] = (...parts) => {
    const line = `${new Date().toISOString()}\t${lineId}\t${format(...parts)}\n`;
    writeAll(fd, Buffer.from(line));
  };
}

// ---- the host ----

function call(method, where, body, headers) {
  return new Promise((resolve) => {
    const outgoing = request({
      host: boot.address,
      port: boot.port,
      method,
      path: where,
      agent,
      headers: { 'x-cosette-secret': boot.secret, 'content-length': Buffer.byteLength(body), ...headers },
    });
    // The host has gone: so does the instance.
    outgoing.on('error', () => exit(1));
    outgoing.on('response', (incoming) => {
      const chunks = [];
      incoming.on('data', (chunk) => chunks.push(chunk));
      incoming.on('error', () => exit(1));
      incoming.on('end', () => resolve({ headers: incoming.headers, body: Buffer.concat(chunks) }));
    });
    outgoing.end(body);
  });
}

// ---- outcomes ----

function visible(text) {
  return String(text)
    .split('\n')
    .filter((line) => !line.includes(__filename))
    .join('\n')
    .split(ROOT + path.sep)
    .join(SHOWN_ROOT + '/');
}

function stackOf(error) {
  return visible(error instanceof Error || (error && error.stack) ? error.stack : inspect(error));
}

function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

function failure(status, errorMessage, stackTrace) {
  const document = { errorCode: 1, errorMessage };
  if (stackTrace !== undefined) document.stackTrace = stackTrace;
  return { where: 'error', status, text: JSON.stringify(document) };
}

const thrown = (stackTrace) => failure(430, 'user code exception caught', stackTrace);

function success(data) {
  let text;
  try {
    text = JSON.stringify(data);
  } catch (error) {
    return thrown(stackOf(error));
  }
  if (text === undefined) text = 'null';
  if (Buffer.byteLength(text) > boot.result_bytes_max) return failure(407, 'body size is too long');
  return { where: 'response', text };
}

// The first outcome of an invocation wins.
function settle(current, reply, now) {
  if (current !== invocation || current.reply !== null) return;
  current.reply = reply;
  if (now) deliver(current);
}

async function deliver(current) {
  if (current.delivered) return;
  current.delivered = true;
  const { where, text, status } = current.reply;
  await call('POST', `/runtime/invocation/${where}`, text, status ? { 'x-cosette-status': status } : {});
  invocation = null;
  next();
}

// ---- one invocation ----

function contextFor(headers, finish) {
  const context = {
    callbackWaitsForEmptyEventLoop: true,
    ...boot.context,
    request_id: headers.request_id || '',
    memory_limit_in_mb: Number(headers.memory_limit_in_mb),
    time_limit_in_ms: Number(headers.time_limit_in_ms),
  };
  const hidden = {
    getContext: () => context,
    done: (error, data) => finish(error, data),
    succeed: (data) => finish(null, data),
    fail: (error) => finish(error === undefined || error === null ? new Error('') : error),
  };
  for (const [name, value] of Object.entries(hidden)) {
    Object.defineProperty(context, name, { value, enumerable: false, writable: true, configurable: true });
  }
  return context;
}

async function next() {
  const { headers, body } = await call('GET', '/runtime/invocation/next', '', {});
  for (const pair of boot.context.environ.split(';')) {
    const at = pair.indexOf('=');
    if (at > 0) process.env[pair.slice(0, at)] = pair.slice(at + 1);
  }
  const source = headers['x-cosette-trigger-src'];
  if (source) process.env.TRIGGER_SRC = source;
  else if (source !== undefined) delete process.env.TRIGGER_SRC;
  const current = { id: headers.request_id, reply: null, delivered: false };
  invocation = current;
  lineId = current.id;
  // On its own turn, so that what the handler throws is not one of our own rejections.
  setImmediate(() => run(current, headers, body));
}

function run(current, headers, body) {
  let context;
  const finish = (error, data) => {
    const now = context.callbackWaitsForEmptyEventLoop === false;
    if (!error) {
      settle(current, success(data), now);
    } else if (error instanceof Error) {
      console.error(stackOf(error));
      settle(current, thrown(error.message), now);
    } else {
      settle(current, thrown(`${String(error)} (callback err is not instance of Error)`), now);
    }
  };
  context = contextFor(headers, finish);
  let returned;
  try {
    returned = handler(JSON.parse(body.toString('utf8')), context, finish);
  } catch (error) {
    settle(current, thrown(stackOf(error)), true);
    return;
  }
  if (returned && typeof returned.then === 'function') {
    returned.then(
      (data) => settle(current, success(data), true),
      (error) => {
        console.error(stackOf(error));
        settle(current, thrown(messageOf(error)), true);
      },
    );
  }
}

process.on('beforeExit', () => {
  if (invocation === null) return;
  settle(invocation, success(undefined), false);
  deliver(invocation);
});

process.on('uncaughtException', (error) => {
  console.error(stackOf(error));
  if (handler === null) {
    initFailed(443, messageOf(error), stackOf(error));
  } else if (invocation !== null) {
    settle(invocation, thrown(stackOf(error)), true);
  }
});

// ---- initialisation ----

async function initFailed(status, message, stack) {
  await call('POST', '/runtime/init/error', failure(status, message, stack).text, { 'x-cosette-status': status });
  exit(1);
}

function isModule(file) {
  if (file.endsWith('.mjs')) return true;
  if (file.endsWith('.cjs')) return false;
  for (let folder = path.dirname(file); folder.startsWith(ROOT); folder = path.dirname(folder)) {
    const description = path.join(folder, 'package.json');
    if (fs.existsSync(description)) {
      try {
        return JSON.parse(fs.readFileSync(description, 'utf8')).type === 'module';
      } catch (_) {
        return false;
      }
    }
  }
  return false;
}

async function main() {
  const dot = boot.handler.lastIndexOf('.');
  const [file, name] = [boot.handler.slice(0, Math.max(dot, 0)), boot.handler.slice(dot + 1)];
  const base = path.resolve(ROOT, file);
  if (dot < 1 || !name) {
    return initFailed(437, `handler ${boot.handler} is not of the form file.function`);
  }
  const found = ['.js', '.mjs', '.cjs'].map((end) => base + end).find((candidate) => fs.existsSync(candidate));
  if (!base.startsWith(ROOT + path.sep) || !found) {
    return initFailed(437, `handler ${boot.handler}: there is no file ${file}.js`);
  }
  process.argv = [process.argv[0], found];
  // Tells the host how long the interpreter took to come up, apart from user code.
  await call('POST', '/runtime/init/begin', '', {});
  if (boot.debug) {
    // Returns when a debugger has come.
    require('inspector').open(boot.debug, '127.0.0.1', true);
  }
  let loaded;
  try {
    loaded = isModule(found) ? await import(pathToFileURL(found).href) : require(found);
  } catch (error) {
    return initFailed(443, messageOf(error), stackOf(error));
  }
  const direct = loaded && loaded[name];
  const chosen = direct !== undefined ? direct : loaded && loaded.default && loaded.default[name];
  if (typeof chosen !== 'function') {
    return initFailed(437, `handler ${boot.handler}: ${path.basename(found)} does not export ${name}`);
  }
  handler = chosen;
  await call('POST', '/runtime/init/ready', ' ', {});
  return next();
}

main();
