// Recognises the text in an uploaded image and writes it beside the image.
'use strict';

const path = require('path');

const COS = require('cos-nodejs-sdk-v5');
const { createWorker } = require('tesseract.js');

const LANGUAGES = (process.env.LANGUAGES || 'eng').split('+');

// The folder of the models: of yours, or of the package's.
function models() {
  const model = require.resolve('@tesseract.js-data/eng/package.json');
  return process.env.MODELS || path.join(path.dirname(model), '4.0.0_best_int');
}

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
  const prefix = process.env.TARGET_PREFIX || 'text/';
  const found = [];
  // A worker that lived on would keep the invocation from ending.
  const worker = await createWorker(LANGUAGES, 1, { langPath: models(), cacheMethod: 'none', gzip: true });
  try {
    for (const { Bucket, Region, Key } of objects(event)) {
      const cos = client();
      const { Body } = await cos.getObject({ Bucket, Region, Key });
      const { data } = await worker.recognize(Body, {}, { blocks: true });
      const lines = (data.blocks || []).flatMap((block) => block.paragraphs).flatMap((part) => part.lines);
      const texts = lines.map(({ text, confidence }) => ({ text: text.trim(), score: Math.round(confidence * 10) / 1000 }));
      await cos.putObject({
        Bucket: process.env.TARGET_BUCKET || Bucket,
        Region,
        Key: `${prefix}${Key}.json`,
        Body: JSON.stringify(texts),
        ContentType: 'application/json',
      });
      console.log(`${Key}: ${texts.length} lines`);
      found.push(...texts.map(({ text }) => text));
    }
  } finally {
    await worker.terminate();
  }
  return found;
};
