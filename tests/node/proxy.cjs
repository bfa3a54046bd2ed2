// A bucket by its real host name, through the server as a proxy.

const { argument, client } = require('./client.cjs');

(async () => {
  const { bucket, proxy } = argument;
  const cos = client({ ...argument, way: 'proxy', server: proxy.replace('http://', '') });
  const at = { Bucket: bucket, Region: 'ap-guangzhou' };
  let host;
  cos.on('before-send', (request) => (host = new URL(request.url).host));
  await cos.putBucket(at).catch((error) => {
    if (error.code !== 'BucketAlreadyOwnedByYou') throw error;
  });
  await cos.putObject({ ...at, Key: '目录/a b+c.txt', Body: 'through the proxy' });
  const sent = host;
  const got = await cos.getObject({ ...at, Key: '目录/a b+c.txt' });
  const service = await cos.getService();
  console.log(
    JSON.stringify({ host: sent, body: got.Body.toString(), buckets: service.Buckets.map((row) => row.Name) }),
  );
})();
