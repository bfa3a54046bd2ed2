// Reads an object that only an origin has, twice, and one that nobody has.

const { argument, client } = require('./client.cjs');

const cos = client(argument);
const at = { Bucket: argument.bucket, Region: 'ap-guangzhou' };

(async () => {
  await cos.putBucketOrigin({
    ...at,
    OriginRule: [
      {
        OriginType: 'Mirror',
        OriginCondition: { HTTPStatusCode: 404, Prefix: '' },
        OriginParameter: { Protocol: 'HTTP', FollowQueryString: true, HttpHeader: {}, FollowRedirection: true },
        OriginInfo: { HostInfo: { HostName: argument.origin } },
        RulePriority: 1,
      },
    ],
  });
  const first = await cos.getObject({ ...at, Key: 'k' });
  const second = await cos.getObject({ ...at, Key: 'k' });
  const missing = await cos.getObject({ ...at, Key: 'missing' }).catch((error) => error);
  console.log(
    JSON.stringify({
      bodies: [String(first.Body), String(second.Body)],
      type: first.headers['content-type'],
      missing: [missing.statusCode, missing.code],
    }),
  );
})();
