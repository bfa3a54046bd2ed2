// Refreshes the CDN as functions on SCF do it: the official SDK by its real host name, the keys of the environment,
// the path out of the object's URL, and a host for each variable that begins with cdnHosts.
const { cdn } = require('tencentcloud-sdk-nodejs-cdn');

const env = process.env;
const hosts = Object.keys(env).filter((name) => name.startsWith('cdnHosts')).map((name) => env[name]);

exports.main_handler = async (event) => {
  const credential = {
    secretId: env.TENCENTCLOUD_SECRETID,
    secretKey: env.TENCENTCLOUD_SECRETKEY,
    token: env.TENCENTCLOUD_SESSIONTOKEN,
  };
  const client = new cdn.v20180606.Client({ credential });
  const paths = event.Records.map((record) => new URL(record.cos.cosObject.url).pathname);
  const Urls = hosts.flatMap((host) => paths.map((path) => `https://${host}${path}`));
  const { TaskId } = await client.PurgeUrlsCache({ Urls });
  await client.PushUrlsCache({ Urls });
  return { Urls, TaskId };
};
