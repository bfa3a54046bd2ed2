// Every operation through the COS Node.js SDK. Prints the names of the steps that passed.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { argument, client } = require('./client.cjs');

const { bucket, directory, proxy } = argument;
const cos = client(argument);
const at = { Bucket: bucket, Region: 'ap-guangzhou' };
const md5 = (body) => `"${crypto.createHash('md5').update(body).digest('hex')}"`;
const MIB = 1 << 20;

async function refused(promise) {
  const error = await promise.then(
    () => assert.fail('was not refused'),
    (error) => error,
  );
  return [error.code, error.statusCode];
}

const steps = {
  async buckets() {
    await cos.putBucket(at);
    const service = await cos.getService();
    const row = service.Buckets.find((row) => row.Name === bucket);
    assert.equal(row.Location, 'ap-guangzhou');
    const head = await cos.headBucket(at);
    assert.equal(head.headers['x-cos-bucket-region'], 'ap-guangzhou');
    assert.equal((await cos.getBucketLocation(at)).LocationConstraint, 'ap-guangzhou');
    assert.deepEqual(await refused(cos.putBucket(at)), ['BucketAlreadyOwnedByYou', 409]);
  },

  async objects() {
    for (const Key of ['a b.txt', 'plus+and%25', 'hash#question?', '照片/2024 年.jpg', "~!@$&'()*,;=:"]) {
      const put = await cos.putObject({
        ...at,
        Key,
        Body: Key,
        ContentType: 'text/plain',
        CacheControl: 'max-age=60',
        ContentMD5: crypto.createHash('md5').update(Key).digest('base64'),
        'x-cos-meta-mykey': 'my value',
      });
      assert.equal(put.ETag, md5(Key));
      const got = await cos.getObject({ ...at, Key });
      assert.equal(got.Body.toString(), Key);
      assert.equal(got.headers['content-type'], 'text/plain');
      const head = await cos.headObject({ ...at, Key });
      assert.equal(head.headers['x-cos-meta-mykey'], 'my value');
      assert.equal(head.headers['cache-control'], 'max-age=60');
      assert.equal(head.ETag, md5(Key));
    }
    await cos.deleteObject({ ...at, Key: 'a b.txt' });
    await cos.deleteObject({ ...at, Key: 'a b.txt' });
    assert.equal((await refused(cos.headObject({ ...at, Key: 'a b.txt' })))[1], 404);
    assert.deepEqual(await refused(cos.getObject({ ...at, Key: 'a b.txt' })), ['NoSuchKey', 404]);
  },

  async guessedContentTypes() {
    for (const [Key, expected] of [
      ['1.zip', 'application/zip'],
      ['1.txt', 'text/plain'],
    ]) {
      await cos.putObject({ ...at, Key, Body: 'x' });
      const head = await cos.headObject({ ...at, Key });
      assert.equal(head.headers['content-type'], expected);
      assert.equal(head.headers['cache-control'], undefined);
    }
  },

  async rangesAndConditions() {
    const Key = 'range';
    const { ETag } = await cos.putObject({ ...at, Key, Body: '0123456789' });
    const part = await cos.getObject({ ...at, Key, Range: 'bytes=2-4' });
    assert.equal(part.Body.toString(), '234');
    assert.equal(part.statusCode, 206);
    assert.deepEqual(await refused(cos.getObject({ ...at, Key, Range: 'bytes=10-' })), ['InvalidRange', 416]);
    assert.deepEqual(await refused(cos.getObject({ ...at, Key, IfMatch: '"no"' })), ['PreconditionFailed', 412]);
    // The SDK makes a result of a 304.
    const same = await cos.getObject({ ...at, Key, IfNoneMatch: ETag }).catch((error) => error);
    assert.equal(same.statusCode, 304);
    const over = await cos.getObject({ ...at, Key, ResponseContentType: 'application/json' });
    assert.equal(over.headers['content-type'], 'application/json');
  },

  async streams() {
    const file = path.join(directory, 'stream.bin');
    const body = crypto.randomBytes(3 * MIB + 5);
    fs.writeFileSync(file, body);
    await cos.putObject({ ...at, Key: 'stream', Body: fs.createReadStream(file) });
    const back = path.join(directory, 'stream.back');
    await cos.getObject({ ...at, Key: 'stream', Output: fs.createWriteStream(back) });
    assert.ok(fs.readFileSync(back).equals(body));
  },

  async lists() {
    for (const Key of ['list/a', 'list/b/1', 'list/b/2', 'list/c d', 'list/照片/一']) {
      await cos.putObject({ ...at, Key, Body: 'x' });
    }
    const first = await cos.getBucket({ ...at, Prefix: 'list/', Delimiter: '/', MaxKeys: 2 });
    assert.deepEqual(
      first.Contents.map((row) => row.Key),
      ['list/a'],
    );
    assert.deepEqual(
      first.CommonPrefixes.map((row) => row.Prefix),
      ['list/b/'],
    );
    assert.equal(first.IsTruncated, 'true');
    const second = await cos.getBucket({ ...at, Prefix: 'list/', Delimiter: '/', Marker: first.NextMarker });
    assert.deepEqual(
      second.Contents.map((row) => row.Key),
      ['list/c d'],
    );
    assert.deepEqual(
      second.CommonPrefixes.map((row) => row.Prefix),
      ['list/照片/'],
    );
    const encoded = await cos.getBucket({ ...at, Prefix: 'list/c', EncodingType: 'url' });
    assert.equal(encoded.Contents[0].Key, 'list/c%20d');
  },

  async copies() {
    await cos.putObject({ ...at, Key: '源 a+.txt', Body: 'copied', 'x-cos-meta-m': '1' });
    const CopySource = `${bucket}.cos.ap-guangzhou.myqcloud.com/${encodeURIComponent('源 a+.txt')}`;
    const copied = await cos.putObjectCopy({ ...at, Key: 'copy.txt', CopySource });
    assert.equal(copied.ETag, md5('copied'));
    assert.equal((await cos.getObject({ ...at, Key: 'copy.txt' })).Body.toString(), 'copied');
    await cos.putObjectCopy({
      ...at,
      Key: 'replaced.txt',
      CopySource,
      MetadataDirective: 'Replaced',
      'x-cos-meta-n': '2',
    });
    const head = await cos.headObject({ ...at, Key: 'replaced.txt' });
    assert.equal(head.headers['x-cos-meta-n'], '2');
    assert.equal(head.headers['x-cos-meta-m'], undefined);
  },

  async deleteMany() {
    for (const Key of ['m/1', 'm/2', 'm/3']) await cos.putObject({ ...at, Key, Body: 'x' });
    const answer = await cos.deleteMultipleObject({ ...at, Objects: [{ Key: 'm/1' }, { Key: 'm/2' }] });
    assert.deepEqual(answer.Deleted.map((row) => row.Key).sort(), ['m/1', 'm/2']);
    const left = await cos.getBucket({ ...at, Prefix: 'm/' });
    assert.deepEqual(
      left.Contents.map((row) => row.Key),
      ['m/3'],
    );
  },

  async multipart() {
    const Key = '多 part.bin';
    const { UploadId } = await cos.multipartInit({ ...at, Key, ContentType: 'application/zip' });
    const listed = await cos.multipartList({ ...at, Prefix: '多' });
    assert.deepEqual(
      listed.Upload.map((row) => row.UploadId),
      [UploadId],
    );
    const bodies = [Buffer.alloc(MIB, 'a'), Buffer.from('the end')];
    const Parts = [];
    for (const [index, Body] of bodies.entries()) {
      const part = await cos.multipartUpload({ ...at, Key, UploadId, PartNumber: index + 1, Body });
      assert.equal(part.ETag, md5(Body));
      Parts.push({ PartNumber: index + 1, ETag: part.ETag });
    }
    const parts = await cos.multipartListPart({ ...at, Key, UploadId });
    assert.deepEqual(
      parts.Part.map((row) => row.Size),
      [String(MIB), '7'],
    );
    const done = await cos.multipartComplete({ ...at, Key, UploadId, Parts });
    assert.match(done.ETag, /-2"$/);
    const got = await cos.getObject({ ...at, Key });
    assert.ok(got.Body.equals(Buffer.concat(bodies)));
    assert.equal(got.headers['content-type'], 'application/zip');
    const again = await cos.multipartInit({ ...at, Key: 'aborted' });
    await cos.multipartAbort({ ...at, Key: 'aborted', UploadId: again.UploadId });
    assert.deepEqual(await refused(cos.multipartListPart({ ...at, Key: 'aborted', UploadId: again.UploadId })), [
      'NoSuchUpload',
      404,
    ]);
  },

  async transfers() {
    const file = path.join(directory, 'big.bin');
    const body = crypto.randomBytes(5 * MIB + 1);
    fs.writeFileSync(file, body);
    await cos.sliceUploadFile({ ...at, Key: 'big', FilePath: file, ChunkSize: MIB });
    await cos.uploadFile({ ...at, Key: 'file', FilePath: file, SliceSize: MIB });
    for (const Key of ['big', 'file']) {
      const back = path.join(directory, `${Key}.back`);
      await cos.downloadFile({ ...at, Key, FilePath: back, ChunkSize: MIB });
      assert.ok(fs.readFileSync(back).equals(body), Key);
    }
  },

  async presignedUrls() {
    const Key = '目录/signed a+b.txt';
    const sign = (Method, more) =>
      new Promise((resolve, reject) =>
        cos.getObjectUrl({ ...at, Key, Method, Sign: true, ...more }, (error, data) =>
          error ? reject(error) : resolve(data.Url),
        ),
      );
    const fetchAt = async (url, options = {}) => {
      // Node's own fetch takes no proxy: the address is the server's, the name goes into Host.
      const http = require('node:http');
      const { host, pathname, search } = new URL(url);
      const [hostname, port] = proxy.replace('http://', '').split(':');
      return new Promise((resolve, reject) => {
        const request = http.request(
          { hostname, port, path: pathname + search, method: options.method || 'GET', headers: { Host: host } },
          (response) => {
            const chunks = [];
            response.on('data', (chunk) => chunks.push(chunk));
            response.on('end', () => resolve({ response, body: Buffer.concat(chunks).toString() }));
          },
        );
        request.on('error', reject);
        request.end(options.body);
      });
    };
    assert.equal((await fetchAt(await sign('PUT'), { method: 'PUT', body: 'signed' })).response.statusCode, 200);
    const url = await sign('GET', { Query: { 'response-content-type': 'application/json' } });
    const got = await fetchAt(url);
    assert.equal(got.body, 'signed');
    assert.equal(got.response.headers['content-type'], 'application/json');
    const spoiled = await fetchAt(url.replace('q-signature=', 'q-signature=0'));
    assert.equal(spoiled.response.statusCode, 403);
    assert.match(spoiled.body, /SignatureDoesNotMatch/);
  },

  async settings() {
    const Tags = [{ Key: 'a', Value: '1' }];
    // The SDK answers what is not set with something empty.
    assert.deepEqual((await cos.getBucketTagging(at)).Tags, []);
    assert.equal((await cos.putBucketTagging({ ...at, Tags })).statusCode, 204);
    assert.deepEqual((await cos.getBucketTagging(at)).Tags, Tags);
    await cos.deleteBucketTagging(at);

    const CORSRules = [
      {
        AllowedOrigin: ['http://*.qq.com'],
        AllowedMethod: ['GET', 'PUT'],
        AllowedHeader: ['*'],
        ExposeHeader: ['ETag'],
        MaxAgeSeconds: '5',
      },
    ];
    await cos.putBucketCors({ ...at, CORSRules });
    const rule = (await cos.getBucketCors(at)).CORSRules[0];
    // Read, the SDK calls them otherwise.
    const read = { AllowedOrigins: 'AllowedOrigin', AllowedMethods: 'AllowedMethod', ExposeHeaders: 'ExposeHeader' };
    for (const name of Object.keys(read)) assert.deepEqual(rule[name], CORSRules[0][read[name]], name);
    assert.equal(rule.MaxAgeSeconds, '5');
    const asked = { ...at, Key: 'k', Origin: 'http://a.qq.com', AccessControlRequestMethod: 'PUT' };
    const allowed = await cos.optionsObject({ ...asked, AccessControlRequestHeaders: 'x-one' });
    assert.equal(allowed.AccessControlAllowOrigin, 'http://a.qq.com');
    await cos.deleteBucketCors(at);

    const WebsiteConfiguration = { IndexDocument: { Suffix: 'index.html' }, ErrorDocument: { Key: 'e.html' } };
    await cos.putBucketWebsite({ ...at, WebsiteConfiguration });
    const site = (await cos.getBucketWebsite(at)).WebsiteConfiguration;
    assert.equal(site.IndexDocument.Suffix, 'index.html');
    await cos.deleteBucketWebsite(at);
    assert.deepEqual((await cos.getBucketWebsite(at)).WebsiteConfiguration, {});

    const RefererConfiguration = {
      Status: 'Enabled',
      RefererType: 'Black-List',
      DomainList: { Domains: ['*.bad.com'] },
      EmptyReferConfiguration: 'Allow',
    };
    await cos.putBucketReferer({ ...at, RefererConfiguration });
    const referer = (await cos.getBucketReferer(at)).RefererConfiguration;
    assert.deepEqual(referer.DomainList.Domains, ['*.bad.com']);

    const Rules = [{ ID: '1', Status: 'Enabled', Filter: { Prefix: 'a' }, Expiration: { Days: '3' } }];
    await cos.putBucketLifecycle({ ...at, Rules });
    assert.equal((await cos.getBucketLifecycle(at)).Rules[0].Expiration.Days, '3');
    await cos.deleteBucketLifecycle(at);
    assert.deepEqual((await cos.getBucketLifecycle(at)).Rules, []);

    for (const Status of ['Enabled', 'Suspended']) {
      await cos.putBucketAccelerate({ ...at, AccelerateConfiguration: { Status } });
      const accelerate = (await cos.getBucketAccelerate(at)).AccelerateConfiguration;
      assert.deepEqual([accelerate.Status, accelerate.Type], [Status, 'COS']);
    }
  },

  async versions() {
    const own = { ...at, Bucket: `v-${bucket}` };
    await cos.putBucket(own);
    await cos.putBucketVersioning({ ...own, VersioningConfiguration: { Status: 'Enabled' } });
    assert.equal((await cos.getBucketVersioning(own)).VersioningConfiguration.Status, 'Enabled');
    const ids = [];
    for (const Body of ['first', 'second']) ids.push((await cos.putObject({ ...own, Key: 'k', Body })).VersionId);
    const first = { ...own, Key: 'k', VersionId: ids[0] };
    assert.equal((await cos.getObject(first)).Body.toString(), 'first');
    const Tags = [{ Key: 't', Value: '1' }];
    await cos.putObjectTagging({ ...first, Tags });
    assert.deepEqual((await cos.getObjectTagging(first)).Tags, Tags);
    assert.deepEqual((await cos.getObjectTagging({ ...own, Key: 'k' })).Tags, []);
    await cos.deleteObjectTagging(first);
    const deleted = await cos.deleteObject({ ...own, Key: 'k' });
    assert.equal(deleted.headers['x-cos-delete-marker'], 'true');
    const page = await cos.listObjectVersions(own);
    assert.deepEqual(page.Versions.map((row) => row.VersionId).reverse(), ids);
    assert.equal(page.DeleteMarkers[0].IsLatest, 'true');
    const rows = [...page.Versions, ...page.DeleteMarkers];
    await cos.deleteMultipleObject({ ...own, Objects: rows.map(({ Key, VersionId }) => ({ Key, VersionId })) });
    await cos.deleteBucket(own);
  },

  async accessLists() {
    const Key = 'listed';
    await cos.putObject({ ...at, Key, Body: 'x', ACL: 'public-read' });
    assert.equal((await cos.getObjectAcl({ ...at, Key })).ACL, 'public-read');
    await cos.putObjectAcl({ ...at, Key, ACL: 'private' });
    assert.equal((await cos.getObjectAcl({ ...at, Key })).ACL, 'private');
    await cos.putBucketAcl({ ...at, ACL: 'public-read' });
    const list = await cos.getBucketAcl(at);
    assert.equal(list.ACL, 'public-read');
    assert.deepEqual(list.Grants.map((grant) => grant.Permission).sort(), ['FULL_CONTROL', 'READ']);
    await cos.putBucketAcl({ ...at, ACL: 'private' });
    await cos.deleteObject({ ...at, Key });
  },

  async endsByRules() {
    const Rules = [{ ID: 'end', Status: 'Enabled', Filter: { Prefix: 'end/' }, Expiration: { Days: '3' } }];
    await cos.putBucketLifecycle({ ...at, Rules });
    const { headers } = await cos.putObject({ ...at, Key: 'end/k', Body: 'x' });
    assert.match(headers['x-cos-expiration'], /^expiry-date="[^"]+ 00:00:00 GMT", rule-id="end"$/);
    Rules[0].Transition = { Days: '3', StorageClass: 'ARCHIVE' };
    assert.deepEqual(await refused(cos.putBucketLifecycle({ ...at, Rules })), ['InvalidArgument', 400]);
    await cos.deleteBucketLifecycle(at);
    await cos.deleteObject({ ...at, Key: 'end/k' });
  },

  async queries() {
    await cos.putObject({ ...at, Key: 'people.csv', Body: 'name,age\nAnn,31\nBob,7\n' });
    const ask = (Expression) =>
      cos.selectObjectContent({
        ...at,
        Key: 'people.csv',
        SelectType: 2,
        SelectRequest: {
          Expression,
          ExpressionType: 'SQL',
          InputSerialization: { CSV: { FileHeaderInfo: 'USE', RecordDelimiter: '\\n' } },
          OutputSerialization: { JSON: { RecordDelimiter: '\\n' } },
          RequestProgress: { Enabled: 'FALSE' },
        },
      });
    const found = await ask('SELECT s.name FROM COSObject s WHERE s.age > 8');
    assert.equal(String(found.Payload), '{"name":"Ann"}\n');
    assert.deepEqual(await refused(ask('SELECT s.town FROM COSObject s')), ['MissingHeaders', 400]);
  },

  async wrongKeys() {
    const wrong = client({ ...argument, key: 'wrong' });
    assert.deepEqual(await refused(wrong.getBucket(at)), ['SignatureDoesNotMatch', 403]);
    const unknown = client({ ...argument, id: 'AKIDUNKNOWN' });
    assert.deepEqual(await refused(unknown.getBucket(at)), ['InvalidAccessKeyId', 403]);
  },

  async emptied() {
    const { Contents } = await cos.getBucket(at);
    assert.deepEqual(await refused(cos.deleteBucket(at)), ['BucketNotEmpty', 409]);
    await cos.deleteMultipleObject({ ...at, Objects: Contents.map(({ Key }) => ({ Key })) });
    await cos.deleteBucket(at);
    assert.equal((await refused(cos.headBucket(at)))[1], 404);
    assert.deepEqual(await refused(cos.getBucket(at)), ['NoSuchBucket', 404]);
  },
};

(async () => {
  const passed = [];
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step();
    } catch (error) {
      console.error(`step ${name} failed`);
      throw error;
    }
    passed.push(name);
  }
  console.log(JSON.stringify({ passed }));
})();
