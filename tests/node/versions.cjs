// The Tencent Cloud Node.js SDK: a namespace, and in it a function's layers, versions, aliases, instances that are kept
// ready, and URL. Prints `done`, as JSON.

const assert = require('node:assert/strict');
const { scf } = require('tencentcloud-sdk-nodejs-scf');

const { host, region, id, key, name, layer, zip } = JSON.parse(process.argv[2]);

const client = new scf.v20180416.Client({
  credential: { secretId: id, secretKey: key },
  region,
  profile: { httpProfile: { protocol: 'http://', endpoint: host } },
});
const Namespace = name;
const of = { FunctionName: name, Namespace };
const colour = (Value) => ({ Variables: [{ Key: 'COLOUR', Value }] });

async function says(more) {
  const { Result } = await client.Invoke({ ...of, ...more });
  return JSON.parse(Result.RetMsg);
}

async function refused(promise) {
  return promise.then(() => assert.fail('was not refused'), (error) => error.code);
}

async function versions() {
  await client.CreateNamespace({ Namespace, Description: 'of a test' });
  const { Namespaces } = await client.ListNamespaces({ SearchKey: [{ Key: 'Namespace', Value: name }] });
  assert.deepEqual(Namespaces.map((one) => [one.Name, one.Description]), [[name, 'of a test']]);

  const made = { LayerName: name, CompatibleRuntimes: ['Python3.9'], Content: { ZipFile: layer } };
  const { LayerVersion } = await client.PublishLayerVersion(made);
  const layers = await client.ListLayerVersions({ LayerName: name });
  assert.deepEqual(layers.LayerVersions.map((one) => one.LayerVersion), [LayerVersion]);
  await client.CreateFunction({
    ...of,
    Runtime: 'Python3.9',
    Handler: 'index.main_handler',
    Code: { ZipFile: zip },
    Environment: colour('blue'),
    Layers: [{ LayerName: name, LayerVersion }],
  });
  assert.deepEqual(await says(), { of: name, layer: 'thick', colour: 'blue' });

  assert.equal((await client.PublishVersion({ ...of, Description: 'one' })).FunctionVersion, '1');
  await client.UpdateFunctionConfiguration({ ...of, Environment: colour('red') });
  assert.equal((await client.PublishVersion(of)).FunctionVersion, '2');
  const listed = await client.ListVersionByFunction({ ...of, Order: 'ASC', OrderBy: 'AddTime' });
  assert.deepEqual(listed.FunctionVersion.sort(), ['$LATEST', '1', '2']);
  return LayerVersion;
}

async function aliases() {
  const rule = { Version: '2', Key: 'invoke.headers.who', Method: 'exact', Expression: 'me' };
  const Name = 'live';
  const RoutingConfig = { AddtionVersionMatchs: [rule] };
  await client.CreateAlias({ ...of, Name, FunctionVersion: '1', RoutingConfig });
  assert.equal((await says({ Qualifier: Name })).colour, 'blue');
  const RoutingKey = JSON.stringify({ who: 'me' });
  assert.equal((await says({ Qualifier: Name, RoutingKey })).colour, 'red');
  await client.UpdateAlias({ ...of, Name, FunctionVersion: '2' });
  assert.equal((await client.GetAlias({ ...of, Name })).FunctionVersion, '2');
  assert.equal((await says({ Qualifier: Name })).colour, 'red');
  const { Aliases } = await client.ListAliases(of);
  assert.deepEqual(Aliases.map((one) => one.Name), ['$DEFAULT', 'live']);
  const bound = client.DeleteFunctionVersion({ ...of, Qualifier: '2' });
  assert.equal(await refused(bound), 'UnsupportedOperation.AliasBind');
}

async function ready() {
  const version = { ...of, Qualifier: '2' };
  await client.PutProvisionedConcurrencyConfig({ ...version, VersionProvisionedConcurrencyNum: 1 });
  const until = Date.now() + 30_000;
  for (;;) {
    const { Allocated } = await client.GetProvisionedConcurrencyConfig(version);
    assert.equal(Allocated[0].AllocatedProvisionedConcurrencyNum, 1);
    if (Allocated[0].Status === 'Done') break;
    assert.ok(Date.now() < until, JSON.stringify(Allocated));
  }
  await client.DeleteProvisionedConcurrencyConfig(version);
  assert.deepEqual((await client.GetProvisionedConcurrencyConfig(of)).Allocated, []);
}

async function url() {
  const trigger = { ...of, Type: 'http', TriggerName: 'page', Qualifier: 'live' };
  const TriggerDesc = JSON.stringify({ AuthType: 'NONE', NetConfig: { EnableIntranet: false, EnableExtranet: true } });
  const { TriggerInfo } = await client.CreateTrigger({ ...trigger, TriggerDesc });
  const { ExtranetUrl } = JSON.parse(TriggerInfo.TriggerDesc).NetConfig;
  const part = /^https:\/\/\d+-(\w+)\./.exec(ExtranetUrl)[1];
  const page = `http://${host}/_cosette/url/${part}/`;
  assert.equal((await (await fetch(page)).json()).colour, 'red');
  await client.UpdateTriggerStatus({ ...trigger, Enable: 'CLOSE' });
  assert.equal((await fetch(page)).status, 403);
  await client.DeleteTrigger(trigger);
  assert.equal((await fetch(page)).status, 404);
}

async function main() {
  const LayerVersion = await versions();
  await aliases();
  await ready();
  await url();
  await client.DeleteAlias({ ...of, Name: 'live' });
  await client.DeleteFunctionVersion({ ...of, Qualifier: '1' });
  await client.DeleteFunction(of);
  await client.DeleteLayerVersion({ LayerName: name, LayerVersion });
  await client.DeleteNamespace({ Namespace });
  assert.equal(await refused(client.GetFunction(of)), 'ResourceNotFound.Namespace');
  console.log(JSON.stringify('done'));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
