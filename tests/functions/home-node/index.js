// What runs on SCF, as it is: the official SDKs, the services' own host names, and the keys of the environment.
const https = require('https');
const COS = require('cos-nodejs-sdk-v5');
const { scf } = require('tencentcloud-sdk-nodejs-scf');
const { sts } = require('tencentcloud-sdk-nodejs-sts');

const env = process.env;
const region = env.TENCENTCLOUD_REGION;

function status(url) {
  return new Promise((resolve, reject) => {
    https.get(url, (response) => resolve(response.resume().statusCode)).on('error', reject);
  });
}

exports.main_handler = async (event) => {
  const cos = new COS({
    SecretId: env.TENCENTCLOUD_SECRETID,
    SecretKey: env.TENCENTCLOUD_SECRETKEY,
    SecurityToken: env.TENCENTCLOUD_SESSIONTOKEN,
  });
  const { cosBucket, cosObject } = event.Records[0].cos;
  const bucket = `${cosBucket.name}-${cosBucket.appid}`;
  const key = cosObject.key.split('/').slice(3).join('/');
  const got = await cos.getObject({ Bucket: bucket, Region: region, Key: key });
  const body = got.Body.toString();
  const credential = {
    secretId: env.TENCENTCLOUD_SECRETID,
    secretKey: env.TENCENTCLOUD_SECRETKEY,
    token: env.TENCENTCLOUD_SESSIONTOKEN,
  };
  const client = new scf.v20180416.Client({ credential, region });
  const invoked = await client.InvokeFunction({ FunctionName: env.OTHER, Event: JSON.stringify(body) });
  const caller = await new sts.v20180813.Client({ credential, region }).GetCallerIdentity();
  const answer = {
    body: body.toUpperCase(),
    other: JSON.parse(invoked.Result.RetMsg),
    caller: [caller.Type, caller.AccountId],
    // Clients that know no proxy.
    bare: await status(`https://${bucket}.cos.${region}.myqcloud.com/`),
    fetched: typeof fetch === 'undefined' ? 403 : (await fetch(`https://${bucket}.cos.${region}.myqcloud.com/`)).status,
  };
  await cos.putObject({ Bucket: env.TARGET, Region: region, Key: key, Body: JSON.stringify(answer) });
};
