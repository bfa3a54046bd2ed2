// Tells an HTTP service of its owner what has happened to objects.
'use strict';

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

exports.main_handler = async (event, context) => {
  const headers = { 'X-Request-Id': context.request_id };
  const token = process.env.SERVICE_TOKEN;
  if (token) headers.Authorization = `Bearer ${token}`;
  for (const { cos, event: about } of event.Records) {
    const told = {
      event: about.eventName,
      time: about.eventTime,
      bucket: `${cos.cosBucket.name}-${cos.cosBucket.appid}`,
      key: cos.cosObject.key.split('/').slice(3).join('/'),
      size: cos.cosObject.size,
    };
    const status = await post(process.env.SERVICE_URL, JSON.stringify(told), headers, 10000);
    console.log(`${told.event} ${told.key}: ${status}`);
    // The event is tried again.
    if (status < 200 || status > 299) throw new Error(`the service answered ${status}`);
  }
};
