// Purges the URLs of objects that have changed from the CDN.
'use strict';

const { cdn } = require('tencentcloud-sdk-nodejs-cdn');

// As many as one call takes.
const URLS_MAX = 1000;

exports.main_handler = async (event) => {
  const domains = process.env.CDN_DOMAINS.split(',').map((domain) => domain.trim());
  const scheme = process.env.CDN_SCHEME || 'https';
  const urls = event.Records.flatMap(({ cos }) => {
    const path = cos.cosObject.key.split('/').slice(3).map(encodeURIComponent).join('/');
    return domains.map((domain) => `${scheme}://${domain}/${path}`);
  });
  const client = new cdn.v20180606.Client({
    credential: {
      secretId: process.env.TENCENTCLOUD_SECRETID,
      secretKey: process.env.TENCENTCLOUD_SECRETKEY,
      token: process.env.TENCENTCLOUD_SESSIONTOKEN,
    },
  });
  const tasks = [];
  for (let start = 0; start < urls.length; start += URLS_MAX) {
    const { TaskId } = await client.PurgeUrlsCache({ Urls: urls.slice(start, start + URLS_MAX) });
    tasks.push(TaskId);
  }
  console.log(JSON.stringify({ urls, tasks }));
  return tasks;
};
