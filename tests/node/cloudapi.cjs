// The Tencent Cloud Node.js SDK: a function from its creation to its end. Prints what it saw, as JSON.

const assert = require('node:assert/strict');
const { scf } = require('tencentcloud-sdk-nodejs-scf');
const { sts } = require('tencentcloud-sdk-nodejs-sts');

const { host, region, id, key, name, zip, other, bucket } = JSON.parse(process.argv[2]);

const settings = {
  credential: { secretId: id, secretKey: key },
  region,
  profile: { httpProfile: { protocol: 'http://', endpoint: host } },
};
const client = new scf.v20180416.Client(settings);
const FunctionName = name;
const trigger = {
  FunctionName,
  Type: 'cos',
  TriggerName: `${bucket}.cos.${region}.myqcloud.com`,
  TriggerDesc: JSON.stringify({ event: 'cos:ObjectCreated:*', filter: { Prefix: 'in/', Suffix: '.txt' } }),
  Qualifier: '$DEFAULT',
};

async function refused(promise) {
  const error = await promise.then(() => assert.fail('was not refused'), (error) => error);
  assert.ok(error.requestId);
  return error.code;
}

async function invoke(event, more) {
  const { Result } = await client.Invoke({ FunctionName, ClientContext: JSON.stringify(event), ...more });
  return Result;
}

async function main() {
  assert.equal((await new sts.v20180813.Client(settings).GetCallerIdentity({})).Type, 'RootAccount');
  await client.CreateFunction({
    FunctionName,
    Runtime: 'Python3.9',
    Handler: 'index.main_handler',
    Code: { ZipFile: zip },
    Timeout: 5,
    Environment: { Variables: [{ Key: 'COLOUR', Value: 'blue' }] },
  });
  const got = await client.GetFunction({ FunctionName, ShowCode: 'TRUE' });
  assert.deepEqual([got.Status, got.Timeout, got.Runtime], ['Active', 5, 'Python3.9']);
  assert.match(got.CodeInfo, /def main_handler/);
  const listed = await client.ListFunctions({ SearchKey: name, Orderby: 'FunctionName', Order: 'ASC' });
  assert.deepEqual([listed.TotalCount, listed.Functions[0].FunctionName], [1, name]);

  const ran = await invoke({ a: 'ü' }, { LogType: 'Tail' });
  assert.deepEqual([ran.InvokeResult, JSON.parse(ran.RetMsg)], [0, { code: 'first', colour: 'blue', event: { a: 'ü' } }]);
  assert.match(ran.Log, /the first code ran/);
  const failed = await invoke({ fail: true });
  assert.deepEqual([failed.InvokeResult, JSON.parse(failed.RetMsg).statusCode], [1, 430]);

  await client.UpdateFunctionConfiguration({
    FunctionName,
    MemorySize: 256,
    Environment: { Variables: [{ Key: 'COLOUR', Value: 'red' }] },
  });
  await client.UpdateFunctionCode({ FunctionName, ZipFile: other });
  const again = JSON.parse((await invoke({})).RetMsg);
  assert.deepEqual([again.code, again.colour], ['second', 'red']);

  await client.CreateTrigger({ ...trigger, Enable: 'OPEN' });
  const triggers = await client.ListTriggers({ FunctionName });
  assert.deepEqual([triggers.TotalCount, triggers.Triggers[0].Enable], [1, 1]);
  await client.DeleteTrigger(trigger);
  assert.equal((await client.ListTriggers({ FunctionName })).TotalCount, 0);

  const logs = await client.GetFunctionLogs({ FunctionName, FunctionRequestId: ran.FunctionRequestId });
  assert.equal(logs.TotalCount, 1);
  assert.match(logs.Data[0].Log, /the first code ran/);

  assert.equal(await refused(client.Invoke({ FunctionName, Qualifier: 'nobody' })), 'ResourceNotFound.Qualifier');
  await client.DeleteFunction({ FunctionName });
  assert.equal(await refused(client.GetFunction({ FunctionName })), 'ResourceNotFound.FunctionName');
  console.log(JSON.stringify('done'));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
