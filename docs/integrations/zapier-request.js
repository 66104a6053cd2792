// Code by Zapier, JavaScript: asks for a suspension or a resumption.
// Input data: url, token; ticket, action (suspend or resume), tenant, reason.
const crypto = require('crypto');
for (const name of ['url', 'token', 'ticket', 'action', 'tenant', 'reason']) {
  if (!inputData[name]) throw new Error(name + ' is missing');
}
if (!['suspend', 'resume'].includes(inputData.action)) throw new Error('the action is suspend or resume');

// The same ticket asks once.
const once = inputData.action + '-' + crypto.createHash('sha256').update(inputData.ticket).digest('hex');
const res = await fetch(inputData.url + '/v1/operations', {
  method: 'POST',
  redirect: 'manual',
  headers: { Authorization: 'Bearer ' + inputData.token, 'Content-Type': 'application/json', 'Idempotency-Key': once },
  body: JSON.stringify({ kind: inputData.action, tenant: inputData.tenant, reason: inputData.reason }),
});
const said = await res.json();
if (res.status !== 202) throw new Error('Tenure answered ' + res.status + ': ' + (said.detail || ''));
output = { operation: said.id, state: said.state };
