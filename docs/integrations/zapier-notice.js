// Code by Zapier, JavaScript: verifies a notice (Standard Webhooks), and reads its tenant.
// Input data: body, id, timestamp, signature of the raw hook; url, secret, token; storage, the key of a Storage by Zapier.
const crypto = require('crypto');
for (const name of ['body', 'id', 'timestamp', 'signature', 'url', 'secret', 'token', 'storage']) {
  if (!inputData[name]) throw new Error(name + ' is missing');
}
const key = Buffer.from(inputData.secret.replace(/^whsec_/, ''), 'base64');
if (key.length < 16) throw new Error('the secret is whsec_ and base64');

const want = crypto.createHmac('sha256', key).update(inputData.id + '.' + inputData.timestamp + '.' + inputData.body).digest();
const signed = inputData.signature.split(' ').slice(0, 10).some((one) => {
  const [version, text] = one.split(',');
  const got = Buffer.from(text || '', 'base64');
  return version === 'v1' && got.length === want.length && crypto.timingSafeEqual(got, want);
});
const inTime = /^[0-9]{1,12}$/.test(inputData.timestamp) && Math.abs(Date.now() / 1000 - Number(inputData.timestamp)) <= 300;
if (!signed || !inTime) throw new Error('the notice is not signed with our secret, or not in time');

// Zapier has answered already: a step that fails later is replayed by Zapier, not by Tenure.
const seen = StoreClient(inputData.storage);
const name = 'tenure-' + crypto.createHash('sha256').update(inputData.id).digest('hex').slice(0, 24);
if (await seen.get(name)) {
  output = { post: false, text: '' };
} else {
  const notice = JSON.parse(inputData.body), data = notice.data || {};
  let who = '', known = true;
  if (data.tenant) {
    const res = await fetch(inputData.url + '/v1/tenants/' + encodeURIComponent(data.tenant), {
      redirect: 'manual',
      headers: { Authorization: 'Bearer ' + inputData.token },
    });
    if (!res.ok && res.status !== 404) throw new Error('Tenure answered ' + res.status);
    const tenant = res.ok ? await res.json() : {};
    known = res.ok; // a tenant that this token doesn't cover isn't posted
    who = (tenant.name || tenant.id) + ' (' + tenant.state + '): ';
  }
  await seen.set(name, Date.now());
  output = { post: known, text: known ? who + (data.text || notice.type) : '' };
}
