// An OpenID provider made of the package `oidc-provider`, whose folder is the argument. It prints its
// address and serves until its standard input ends. PUT /client with a redirect address sets its one
// client, and PUT /people/SUBJECT the claims of a person.
import { once } from 'node:events';
import http from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder] = process.argv.slice(2);
const entry = pathToFileURL(path.join(folder, 'oidc-provider/lib/index.js'));
const { Provider } = await import(entry);

const people = new Map();

function key(alg, type, options) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID() };
}

const configuration = (redirectUri) => ({
  clients: [{
    client_id: 'botarmy',
    client_secret: 's3cr3t of the client',
    redirect_uris: [redirectUri],
    response_types: ['code'],
    grant_types: ['authorization_code'],
    id_token_signed_response_alg: 'ES256',
  }],
  cookies: { keys: [randomUUID()] },
  jwks: {
    keys: [
      key('RS256', 'rsa', { modulusLength: 2048 }),
      key('ES256', 'ec', { namedCurve: 'P-256' }),
    ],
  },
  scopes: ['openid', 'profile', 'groups'],
  claims: { openid: ['sub'], profile: ['name'], groups: ['groups'] },
  findAccount: (context, subject) => ({
    accountId: subject,
    claims: () => ({ sub: subject, ...people.get(subject) }),
  }),
  // Everyone has agreed already.
  async loadExistingGrant(context) {
    const grant = new context.oidc.provider.Grant({
      accountId: context.oidc.session.accountId,
      clientId: context.oidc.client.clientId,
    });
    grant.addOIDCScope('openid profile groups');
    await grant.save();
    return grant;
  },
});

const server = http.createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;
let handle = (request, response) => response.writeHead(503).end();

server.on('request', async (request, response) => {
  if (request.method !== 'PUT') {
    handle(request, response);
    return;
  }
  let body = '';
  for await (const part of request) body += part;
  if (request.url === '/client') {
    handle = new Provider(issuer, configuration(body)).callback();
    response.writeHead(204).end();
    return;
  }
  people.set(decodeURIComponent(request.url.slice('/people/'.length)), JSON.parse(body));
  response.writeHead(204).end();
});

process.stdin.on('end', () => process.exit()).resume();
console.log(`serving on ${issuer}`);
