// An OpenID provider for tests: oidc-provider on a loopback port, with the
// people and the clients that its one argument (JSON) names. It says "ready
// ISSUER" on its standard output, takes "rotate" on its standard input, answers
// "rotated", and ends when the input does.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const settings = JSON.parse(process.argv[2]);
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
    claims: { openid: ['sub', 'amr', 'acr', 'auth_time'], profile: ['name'], email: ['email', 'email_verified'] },
    // The specification's default gives the claims of a scope by userinfo alone.
    conformIdTokenClaims: settings.thin,
    features: { devInteractions: { enabled: false } },
    interactions: { url: (ctx, interaction) => `/sign-in/${interaction.uid}` },
    pkce: { required: () => true },
    findAccount: (ctx, id) => {
      const p = people.get(id);
      return p && { accountId: id, claims: () => ({ sub: id, name: p.name, email: p.email, email_verified: !p.unverified }) };
    },
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
    if (line !== 'rotate') return;
    handle = make(issuer);
    console.log('rotated');
  });
  lines.on('close', () => process.exit(0));
});
