// Unpacks an uploaded zip archive into a prefix of a bucket.
'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');

const COS = require('cos-nodejs-sdk-v5');
const yauzl = require('yauzl');

const ENTRIES_MAX = Number(process.env.ENTRIES_MAX || 10000);

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

// Where an entry goes; nothing for one that points outside.
function place(prefix, archive, entry) {
  const parts = entry.replace(/\\/g, '/').split('/');
  if (entry.startsWith('/') || parts.includes('..')) {
    console.log(`left out: ${entry}`);
    return null;
  }
  return `${prefix}${path.posix.parse(archive).name}/${parts.join('/')}`;
}

async function unpack(cos, file, key, Bucket, Region, written) {
  const prefix = process.env.TARGET_PREFIX || 'unzipped/';
  // Names as they are: one that points outside is for `place` to see.
  const archive = await yauzl.openPromise(file, { decodeStrings: false });
  if (archive.entryCount > ENTRIES_MAX) {
    throw new Error(`${key} has ${archive.entryCount} entries, more than ${ENTRIES_MAX}`);
  }
  for await (const entry of archive.eachEntry()) {
    const name = yauzl.getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileName, entry.extraFields, false);
    const to = name.endsWith('/') ? null : place(prefix, key, name);
    if (to === null) continue;
    const Body = await archive.openReadStreamPromise(entry);
    await cos.putObject({ Bucket, Region, Key: to, Body, ContentLength: entry.uncompressedSize });
    written.push(to);
  }
}

exports.main_handler = async (event) => {
  const written = [];
  for (const { Bucket, Region, Key } of objects(event)) {
    const cos = client();
    const folder = await fs.promises.mkdtemp(path.join(os.tmpdir(), 'unzip-'));
    try {
      const file = path.join(folder, 'archive');
      await cos.getObject({ Bucket, Region, Key, Output: file });
      await unpack(cos, file, Key, process.env.TARGET_BUCKET || Bucket, Region, written);
    } finally {
      await fs.promises.rm(folder, { recursive: true });
    }
  }
  console.log(`wrote ${written.length} objects`);
  return written;
};
