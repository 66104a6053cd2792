// An OpenID provider for tests: oidc-provider on a loopback port, with the
// people and the clients that its one argument (JSON) names. It says "ready
// ISSUER" on its standard output, and ends when its standard input does. There it
// takes "rotate", for other signing keys, and answers "rotated"; and "issuer URL",
// for another issuer, and answers "renamed".
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const settings = JSON.parse(process.argv[2]);

// What the provider keeps, by model and id, so that a test can look at it.
const models = new Map();
class Adapter {
  constructor(name) {
    if (!models.has(name)) models.set(name, new Map());
    this.all = models.get(name);
  }
  async upsert(id, payload, lives) {
    this.all.set(id, { payload, ends: lives ? Date.now() + lives * 1000 : Infinity });
  }
  async find(id) {
    const one = this.all.get(id);
    return one && one.ends > Date.now() ? one.payload : undefined;
  }
  async findByUid(uid) {
    for (const [id, { payload }] of this.all) if (payload.uid === uid) return this.find(id);
  }
  async findByUserCode() {}
  async consume(id) {
    const one = this.all.get(id);
    if (one) one.payload.consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id) {
    this.all.delete(id);
  }
  async revokeByGrantId(grantId) {
    for (const [id, { payload }] of this.all) if (payload.grantId === grantId) this.all.delete(id);
  }
}
const people = new Map(settings.people.map((p) => [p.id, p]));

function signingKey() {
  const { privateKey } = settings.ed25519
    ? generateKeyPairSync('ed25519')
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', kid: randomUUID(), alg: settings.ed25519 ? 'EdDSA' : 'RS256' };
}

function make(issuer) {
  const provider = new Provider(issuer, {
    jwks: { keys: [signingKey()] },
    cookies: { keys: [randomUUID()] },
    clients: settings.clients.map((c) => ({
      client_id: c.id,
      client_secret: c.secret || undefined,
      token_endpoint_auth_method: c.secret ? 'client_secret_basic' : 'none',
      redirect_uris: settings.redirectURLs,
      grant_types: ['authorization_code'],
      response_types: ['code'],
      id_token_signed_response_alg: settings.ed25519 ? 'EdDSA' : 'RS256',
    })),
    acrValues: settings.acrValues,
    adapter: Adapter,
    // By default the provider calls nobody on loopback, where the tests' applications are.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    extraClientMetadata: { properties: settings.registration?.drops ? [] : ['software_id'] },
    claims: { openid: ['sub', 'amr', 'acr', 'auth_time'], profile: ['name'], email: ['email', 'email_verified'] },
    // The specification's default gives the claims of a scope by userinfo alone.
    conformIdTokenClaims: settings.thin,
    features: {
      devInteractions: { enabled: false },
      ...(settings.registration && {
        registration: { enabled: true, initialAccessToken: settings.registration.token },
        registrationManagement: { enabled: true, rotateRegistrationAccessToken: settings.registration.rotates },
        clientCredentials: { enabled: true },
        introspection: { enabled: true },
        revocation: { enabled: true },
        backchannelLogout: { enabled: true },
      }),
    },
    interactions: { url: (ctx, interaction) => `/sign-in/${interaction.uid}` },
    pkce: { required: () => true },
    findAccount: (ctx, id) => {
      const p = people.get(id);
      return p && { accountId: id, claims: () => ({ sub: id, name: p.name, email: p.email, email_verified: !p.unverified }) };
    },
    issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
    // Nobody is asked for consent: the tests are about what comes after.
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope('openid profile email');
      await grant.save();
      return grant;
    },
  });
  const protocol = provider.callback();
  return async (req, res) => {
    if (settings.registration && req.url.startsWith('/admin/')) return admin(provider, req, res);
    if (!req.url.startsWith('/sign-in/')) return protocol(req, res);
    if (req.method !== 'POST') return page(res);
    let body = '';
    for await (const chunk of req) body += chunk;
    const who = people.get(new URLSearchParams(body).get('person'));
    const result = who
      ? { login: { accountId: who.id, amr: who.amr ?? undefined, acr: who.acr || undefined } }
      : { error: 'access_denied', error_description: 'nobody was chosen' };
    return provider.interactionFinished(req, res, result);
  };
}

// What a platform that runs a provider has besides the protocols: GET /admin/clients lists
// the registered clients, DELETE /admin/clients/ID deletes one, and POST
// /admin/clients/ID/logout ends its sessions and grants and tells it so by back channel.
async function admin(provider, req, res) {
  const answer = (status, body) => {
    res.statusCode = status;
    res.setHeader('content-type', 'application/json');
    res.end(body === undefined ? '' : JSON.stringify(body));
  };
  if (req.headers.authorization !== `Bearer ${settings.registration.admin}`) return answer(401);
  const clients = models.get('Client') ?? new Map();
  const [, , , id, what] = req.url.split('/');
  if (req.method === 'GET' && !id) return answer(200, [...clients.values()].map((c) => c.payload));
  const client = await provider.Client.find(decodeURIComponent(id));
  if (!client) return answer(404);
  if (req.method === 'DELETE') {
    clients.delete(client.clientId);
    return answer(204);
  }
  if (req.method !== 'POST' || what !== 'logout') return answer(405);
  for (const { payload } of models.get('Session')?.values() ?? []) {
    const mine = payload.authorizations?.[client.clientId];
    if (!mine) continue;
    if (client.backchannelLogoutUri) await client.backchannelLogout(payload.accountId, mine.sid);
    delete payload.authorizations[client.clientId];
  }
  for (const kept of models.values()) {
    for (const [key, { payload }] of kept) if (payload.clientId === client.clientId && payload.kind !== 'RegistrationAccessToken') kept.delete(key);
  }
  return answer(204);
}

const escape = (s) => s.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

function page(res) {
  const buttons = settings.people.map((p) => `<p><button name="person" value="${escape(p.id)}">${escape(p.name)}</button></p>`);
  res.setHeader('content-type', 'text/html; charset=utf-8');
  res.end(`<!doctype html><html lang="en"><title>Sign in</title><main><h1>Sign in</h1><form method="post">${buttons.join('')}</form></main></html>`);
}

let handle;
const server = createServer((req, res) => Promise.resolve(handle(req, res)).catch(() => {
  res.statusCode = 500;
  res.end();
}));
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  handle = make(issuer);
  console.log(`ready ${issuer}`);
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const [word, at] = line.split(' ');
    if (word !== 'rotate' && word !== 'issuer') return;
    handle = make(at ?? issuer);
    console.log(word === 'rotate' ? 'rotated' : 'renamed');
  });
  lines.on('close', () => process.exit(0));
});
