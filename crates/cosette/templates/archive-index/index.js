// Writes a list of what an uploaded archive (zip, tar, tar.gz) holds.
'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');
const zlib = require('zlib');

const COS = require('cos-nodejs-sdk-v5');
const tar = require('tar-stream');
const yauzl = require('yauzl');

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

async function ofZip(file) {
  const entries = [];
  const archive = await yauzl.openPromise(file, { decodeStrings: false });
  for await (const entry of archive.eachEntry()) {
    const name = yauzl.getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileName, entry.extraFields, false);
    if (!name.endsWith('/')) entries.push({ name, size: entry.uncompressedSize });
  }
  return entries;
}

async function ofTar(file, isGzip) {
  const entries = [];
  const archive = tar.extract();
  const content = fs.createReadStream(file);
  const plain = isGzip ? content.pipe(zlib.createGunzip()) : content;
  for (const stream of [content, plain]) stream.on('error', (error) => archive.destroy(error));
  plain.pipe(archive);
  for await (const entry of archive) {
    if (entry.header.type === 'file') entries.push({ name: entry.header.name, size: entry.header.size });
    entry.resume();
  }
  return entries;
}

// Name and size of each file in the archive.
async function entriesOf(file) {
  const handle = await fs.promises.open(file);
  const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
  await handle.close();
  return buffer.toString() === 'PK' ? ofZip(file) : ofTar(file, buffer.toString('hex') === '1f8b');
}

exports.main_handler = async (event) => {
  const prefix = process.env.TARGET_PREFIX || 'index/';
  const made = [];
  for (const { Bucket, Region, Key } of objects(event)) {
    const cos = client();
    const folder = await fs.promises.mkdtemp(path.join(os.tmpdir(), 'index-'));
    let entries;
    try {
      const file = path.join(folder, 'archive');
      await cos.getObject({ Bucket, Region, Key, Output: file });
      entries = await entriesOf(file);
    } finally {
      await fs.promises.rm(folder, { recursive: true });
    }
    await cos.putObject({
      Bucket: process.env.TARGET_BUCKET || Bucket,
      Region,
      Key: `${prefix}${Key}.json`,
      Body: JSON.stringify({ archive: Key, entries }),
      ContentType: 'application/json',
    });
    console.log(`${Key}: ${entries.length} files`);
    made.push(`${prefix}${Key}.json`);
  }
  return made;
};
