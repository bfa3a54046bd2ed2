// Keeps a second bucket, in any region, like the first.
'use strict';

const COS = require('cos-nodejs-sdk-v5');

// Bucket, region and key of each object that the event tells of.
function objects(event) {
  return event.Records.map(({ cos: { cosBucket, cosObject } }) => ({
    Bucket: `${cosBucket.name}-${cosBucket.appid}`,
    Region: cosBucket.cosRegion || process.env.TENCENTCLOUD_REGION,
    // The key begins with /<appid>/<bucket>/.
    Key: cosObject.key.split('/').slice(3).join('/'),
  }));
}

// With the keys of the function's role.
function client() {
  return new COS({
    SecretId: process.env.TENCENTCLOUD_SECRETID,
    SecretKey: process.env.TENCENTCLOUD_SECRETKEY,
    SecurityToken: process.env.TENCENTCLOUD_SESSIONTOKEN,
  });
}

exports.main_handler = async (event) => {
  const target = process.env.TARGET_BUCKET;
  const removed = event.Records[0].event.eventName.startsWith('cos:ObjectRemove:');
  const cos = client();
  for (const { Bucket, Region, Key } of objects(event)) {
    const to = (process.env.TARGET_PREFIX || '') + Key;
    const there = { Bucket: target, Region: process.env.TARGET_REGION || Region, Key: to };
    if (removed) {
      await cos.deleteObject(there);
      console.log(`removed ${target}/${to}`);
      continue;
    }
    const path = Key.split('/').map(encodeURIComponent).join('/');
    try {
      // The service copies; no byte comes through here.
      await cos.sliceCopyFile({ ...there, CopySource: `${Bucket}.cos.${Region}.myqcloud.com/${path}` });
    } catch (error) {
      if (error.statusCode !== 404) throw error;
      console.log(`${Key} is gone meanwhile`);
      continue;
    }
    console.log(`copied ${Bucket}/${Key} to ${target}/${to}`);
  }
};
