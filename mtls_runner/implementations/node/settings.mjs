// What both programs make of the file that the lab writes: its names are those of templates.
import { readFileSync } from 'node:fs';
import { constants } from 'node:crypto';
import tls from 'node:tls';

export const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
export const content = (path) => (path ? readFileSync(path) : undefined);
// A field's value as UTF-8: Node sends each character as the octet of its number.
export const octets = (value) => Buffer.from(value).toString('latin1');
// Of each text it reads one list only.
const lists = (path) => (path ? readFileSync(path, 'latin1').match(/-----BEGIN X509 CRL-----[^]*?-----END X509 CRL-----/g) : undefined);

// Node takes the suites of TLS 1.3 and the ciphers before it in one list.
function ciphers(told) {
  const usual = tls.DEFAULT_CIPHERS.split(':');
  const suites = told.ciphersuites ?? usual.filter((name) => name.startsWith('TLS_')).join(':');
  const older = told.ciphers ?? usual.filter((name) => !name.startsWith('TLS_')).join(':');
  return `${suites}:${older}:@SECLEVEL=${told.security_level}`;
}

export function context(told) {
  return {
    cert: content(told.certificate),
    key: content(told.key),
    passphrase: told.passphrase ? readFileSync(told.passphrase, 'utf8').trimEnd() : undefined,
    ca: content(told.trust) ?? [], // without any, Node trusts public authorities
    crl: lists(told.crl),
    minVersion: told.tls_min,
    maxVersion: told.tls_max,
    ciphers: ciphers(told),
    ecdhCurve: told.groups.join(':') || undefined,
    sigalgs: told.signature_algorithms.join(':') || undefined,
    secureOptions: told.session_tickets === false ? constants.SSL_OP_NO_TICKET : 0,
  };
}
