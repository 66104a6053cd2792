// Code by Zapier, JavaScript: a form becomes a signed event (Standard Webhooks).
// Input data: url, source, secret; id, company, login of the form.
const crypto = require('crypto');
for (const name of ['url', 'source', 'secret', 'id', 'company', 'login']) {
  if (!inputData[name]) throw new Error(name + ' is missing');
}
const key = Buffer.from(inputData.secret.replace(/^whsec_/, ''), 'base64');
if (key.length < 16) throw new Error('the secret is whsec_ and base64');

// The same form has the same id: sent twice, it counts once.
const now = new Date(), at = String(Math.floor(now.getTime() / 1000));
const id = 'form-' + crypto.createHash('sha256').update(inputData.id).digest('hex');
const body = JSON.stringify({
  type: 'form.submitted',
  timestamp: now.toISOString(),
  data: { id: inputData.id, company: inputData.company.trim(), login: inputData.login.trim() },
});
const signature = crypto.createHmac('sha256', key).update(id + '.' + at + '.' + body).digest('base64');
const res = await fetch(inputData.url + '/v1/events/' + encodeURIComponent(inputData.source), {
  method: 'POST',
  redirect: 'manual',
  headers: { 'Content-Type': 'application/json', 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': 'v1,' + signature },
  body,
});
if (!res.ok) throw new Error('Tenure answered ' + res.status);
output = { id };
