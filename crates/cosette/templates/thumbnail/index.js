// Makes a small JPEG of an uploaded image.
'use strict';

const path = require('path');

const COS = require('cos-nodejs-sdk-v5');
const { Jimp } = require('jimp');

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
  const size = Number(process.env.SIZE || 200);
  const prefix = process.env.TARGET_PREFIX || 'thumbnails/';
  const made = [];
  for (const { Bucket, Region, Key } of objects(event)) {
    const cos = client();
    const { Body } = await cos.getObject({ Bucket, Region, Key });
    // As the camera was held, without transparency, no side longer than that.
    const image = await Jimp.read(Body);
    if (Math.max(image.width, image.height) > size) image.scaleToFit({ w: size, h: size });
    const to = `${prefix}${path.posix.parse(Key).name}.jpg`;
    await cos.putObject({
      Bucket: process.env.TARGET_BUCKET || Bucket,
      Region,
      Key: to,
      Body: await image.getBuffer('image/jpeg', { quality: 85 }),
      ContentType: 'image/jpeg',
    });
    console.log(`${Key}: ${image.width} x ${image.height}`);
    made.push(to);
  }
  return made;
};
