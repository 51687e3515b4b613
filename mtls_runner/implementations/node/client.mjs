// Requests by Node's own https, one after the other, each on a connection of its own. It prints what it sees, a fact a line.
import https from 'node:https';
import readline from 'node:readline';
import tls from 'node:tls';
import { content, context, octets, read } from './settings.mjs';

function chain(socket) {
  const seen = new Set();
  for (let one = socket.getPeerCertificate(true); one?.raw && !seen.has(one.fingerprint256); one = one.issuerCertificate) {
    seen.add(one.fingerprint256);
    console.log(`peer ${one.raw.toString('base64')}`);
  }
}

function begun(told, own) {
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
    const values = told.headers.filter(([other]) => other === name).map(([, value]) => octets(value));
    request.setHeader(name, values.length > 1 ? values : values[0]);
  }
  request.on('socket', (socket) => {
    socket.on('connect', () => console.log(`local ${socket.localPort}`));
    socket.once('keylog', () => console.log('agreed')); // whoever makes keys has agreed on parameters
    // Before Node itself looks at what its verification came to, and may end the connection.
    socket.prependListener('secure', () => chain(socket));
    socket.on('secureConnect', () =>
      console.log(`handshake tls=<${socket.getProtocol()}> cipher=<${socket.getCipher().name}> alpn=<${socket.alpnProtocol || ''}>`),
    );
  });
  request.on('timeout', () => request.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })));
  return request;
}

// The exit code that a program would have that makes this exchange only.
function exchange(told) {
  return new Promise((resolve) => {
    // What is UNSPECIFIED of a verification, the message says in OpenSSL's words.
    const fail = (whose, error) => {
      const said = error.code === 'UNSPECIFIED' ? ', verify error:' : '';
      console.log(`${whose} code=${error.code}${said} ${error.message.trim()}`);
      resolve(1);
    };
    let own;
    try {
      own = tls.createSecureContext(context(told));
    } catch (error) {
      fail('own', error);
      return;
    }
    const request = begun(told, own);
    request.on('error', (error) => fail('error', error));
    request.on('response', (response) => {
      console.log(`status ${response.statusCode}`);
      for (let at = 0; at < response.rawHeaders.length; at += 2) {
        console.log(`header ${response.rawHeaders[at]}: ${response.rawHeaders[at + 1]}`);
      }
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('error', (error) => fail('error', error));
      response.on('end', () => {
        console.log(`body ${Buffer.concat(parts).toString('base64')}`);
        if (response.socket.destroyed) resolve(0);
        else response.socket.once('close', () => resolve(0));
      });
    });
    request.end(content(told.body_file));
  });
}

console.log('ready');
for await (const path of readline.createInterface({ input: process.stdin })) {
  console.log(`exit ${await exchange(read(path))}`);
}
