// An HTTPS server of Node's own. It prints a line for each connection that it refuses or answers.
import https from 'node:https';
import { content, context, octets, read } from './settings.mjs';

// The lab's file, and the bodies that it names, which it may replace before it says so.
function all() {
  const found = read(process.argv[2]);
  for (const one of found.responses) one.content = content(one.body_file) ?? Buffer.alloc(0);
  return found;
}

let told = all();

function certificate(socket) {
  const shown = socket.getPeerCertificate();
  return shown?.raw ? shown.raw.toString('base64') : '';
}

function verified(socket) {
  if (!certificate(socket)) return 'NONE';
  return socket.authorized ? 'SUCCESS' : 'FAILED';
}

function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function answer(request, response) {
  const socket = request.socket;
  console.log(
    `answered port=${socket.remotePort} request=<${request.method} ${request.url}> tls=<${socket.getProtocol()}> ` +
      `cipher=<${socket.getCipher().name}> resumed=${socket.isSessionReused() ? 1 : 0} client_verify=${verified(socket)} ` +
      `certificate=<${certificate(socket)}> sni=<${socket.servername || ''}>`,
  );
  const path = decoded(request.url.split('?')[0]);
  const chosen = told.responses.find((one) => !one.path || one.path === path);
  const body = chosen.content;
  for (const [name, value] of chosen.headers) response.appendHeader(name, octets(value));
  response.setHeader('Content-Type', octets(chosen.content_type ?? 'text/plain; charset=utf-8'));
  response.setHeader('Content-Length', body.length);
  response.statusCode = chosen.status;
  response.end(body);
}

const asks = (told) => ({ requestCert: told.client_auth !== 'none', rejectUnauthorized: told.client_auth === 'required' });
const server = https.createServer(
  { ...context(told), ...asks(told), ...(told.alpn.length ? { ALPNProtocols: told.alpn } : {}) },
  answer,
);
const ports = new WeakMap(); // a socket that is gone has forgotten its port
server.on('connection', (socket) => ports.set(socket, socket.remotePort));
// What OpenSSL says of a certificate that leads nowhere, or that there is none.
const nowhere = [
  'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_UNTRUSTED',
];
server.prependListener('secureConnection', (socket) => {
  if (told.client_auth !== 'optional_no_ca' || socket.authorized || nowhere.includes(socket.authorizationError)) return;
  console.log(`refused port=${socket.remotePort} authorizationError=${socket.authorizationError}`);
  socket.destroy();
});
server.on('tlsClientError', (error, socket) => {
  const port = socket.remotePort ?? ports.get(socket._parent ?? socket);
  // A bad signature, which OpenSSL has left in its queue of errors: it ends the handshake where the client's flight comes in parts.
  const held = error.code === 'ERR_SSL_EVP_LIB' ? socket._handle?.verifyError()?.code : undefined;
  console.log(
    `refused port=${port} authorizationError=${socket.authorizationError ?? held ?? ''} code=${error.code} ${error.message.trim()}`,
  );
});
process.on('SIGHUP', () => {
  try {
    const next = all();
    server.setSecureContext(context(next));
    Object.assign(server, asks(next)); // what it asks for each connection
    told = next;
    console.log('reload done');
  } catch (error) {
    console.log(`reload failed: ${error.message}`);
  }
});
server.listen(told.port, told.host);
