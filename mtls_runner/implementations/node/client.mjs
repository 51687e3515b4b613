// One request by Node's own https. It prints what it sees, a fact a line.
import https from 'node:https';
import tls from 'node:tls';
import { content, context, read } from './settings.mjs';

const told = read(process.argv[2]);

function fail(whose, error) {
  console.log(`${whose} code=${error.code} ${error.message.trim()}`);
  process.exit(1);
}

function chain(socket) {
  const seen = new Set();
  for (let one = socket.getPeerCertificate(true); one?.raw && !seen.has(one.fingerprint256); one = one.issuerCertificate) {
    seen.add(one.fingerprint256);
    console.log(`peer ${one.raw.toString('base64')}`);
  }
}

let own;
try {
  own = tls.createSecureContext(context(told));
} catch (error) {
  fail('own', error);
}
const request = https.request({
  host: told.host,
  port: told.port,
  method: told.method,
  path: told.path,
  servername: told.server_name ?? '',
  secureContext: own,
  rejectUnauthorized: !told.insecure,
  checkServerIdentity: (_, certificate) => tls.checkServerIdentity(told.verify_name, certificate),
  ...(told.alpn.length ? { ALPNProtocols: told.alpn } : {}),
  agent: false,
  timeout: told.timeout * 1000,
});
request.setHeader('Host', new URL(told.url).host);
for (const name of new Set(told.headers.map(([name]) => name))) {
  const values = told.headers.filter(([other]) => other === name).map(([, value]) => value);
  request.setHeader(name, values.length > 1 ? values : values[0]);
}
request.on('socket', (socket) => {
  socket.on('connect', () => console.log(`local ${socket.localPort}`));
  // Before Node itself looks at what its verification came to, and may end the connection.
  socket.prependListener('secure', () => chain(socket));
  socket.on('secureConnect', () =>
    console.log(`handshake tls=<${socket.getProtocol()}> cipher=<${socket.getCipher().name}> alpn=<${socket.alpnProtocol || ''}>`),
  );
});
request.on('timeout', () => request.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })));
request.on('error', (error) => fail('error', error));
request.on('response', (response) => {
  console.log(`status ${response.statusCode}`);
  for (let at = 0; at < response.rawHeaders.length; at += 2) {
    console.log(`header ${response.rawHeaders[at]}: ${response.rawHeaders[at + 1]}`);
  }
  const parts = [];
  response.on('data', (part) => parts.push(part));
  response.on('error', (error) => fail('error', error));
  response.on('end', () => console.log(`body ${Buffer.concat(parts).toString('base64')}`));
});
request.end(content(told.body_file));
