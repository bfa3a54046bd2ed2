// Posts each event, signed, to the URLs of whoever listens.
'use strict';

const crypto = require('crypto');

const TRIES = 3;

// The status of the answer.
function post(url, body, headers, timeout) {
  const { request } = url.startsWith('https:') ? require('https') : require('http');
  return new Promise((resolve, reject) => {
    const length = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
    const asked = request(url, { method: 'POST', headers: { ...headers, ...length }, timeout }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode)).on('error', reject);
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.on('error', reject);
    asked.end(body);
  });
}

// Whether it was taken; tries again what may be better the next time.
async function relay(url, body, headers) {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** attempt));
    try {
      const status = await post(url, body, headers, 5000);
      console.log(`${url}: ${status}`);
      if (status >= 200 && status < 300) return true;
      if (status < 500 && status !== 429) return false;
    } catch (error) {
      console.log(`${url}: ${error.message}`);
    }
  }
  return false;
}

exports.main_handler = async (event, context) => {
  const urls = process.env.WEBHOOK_URLS.split(',').map((url) => url.trim());
  const failed = [];
  for (const record of event.Records) {
    const body = JSON.stringify(record);
    const stamp = String(Math.floor(Date.now() / 1000));
    const hmac = crypto.createHmac('sha256', process.env.WEBHOOK_SECRET || '').update(`${stamp}.${body}`);
    const headers = {
      'X-Webhook-Id': context.request_id,
      'X-Webhook-Timestamp': stamp,
      'X-Webhook-Signature': `sha256=${hmac.digest('hex')}`,
    };
    for (const url of urls) {
      if (!(await relay(url, body, headers))) failed.push(url);
    }
  }
  if (failed.length > 0) throw new Error(`not taken by ${failed.join(', ')}`);
};
