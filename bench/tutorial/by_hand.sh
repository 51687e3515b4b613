#!/bin/bash
# The peer: the tutorial's lab by hand. RSA 4096 authority and RSA 2048 server, both keys encrypted, a client
# certificate, a server that demands one, and two requests: without it (must fail) and with it (must succeed).
set -euo pipefail
lab=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || { kill "$server"; wait "$server" || true; } 2>/dev/null
    rm -rf "$lab"
}
trap finish EXIT
cd "$lab"
{
    openssl genrsa -aes256 -passout pass:secret -out ca.key 4096
    openssl req -x509 -new -key ca.key -passin pass:secret -days 3650 -subj "/CN=Lab Root CA" -out ca.crt

    openssl genrsa -aes256 -passout pass:secret -out server.key 2048
    openssl req -new -key server.key -passin pass:secret -subj "/CN=*.test.server" -out server.csr
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >server.ext
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -passin pass:secret -CAcreateserial -days 365 \
        -extfile server.ext -out server.crt

    openssl genrsa -out client.key 2048
    openssl req -new -key client.key -subj "/CN=*.test.client" -out client.csr
    printf 'extendedKeyUsage=clientAuth\n' >client.ext
    openssl x509 -req -in client.csr -CA ca.crt -CAkey ca.key -passin pass:secret -CAcreateserial -days 365 \
        -extfile client.ext -out client.crt
} 2>openssl.log

mkfifo said
openssl s_server -accept 127.0.0.1:0 -cert server.crt -key server.key -pass pass:secret -CAfile ca.crt \
    -Verify 1 -verify_return_error -www </dev/null >said 2>server.log &
server=$!
exec 3<said
while read -r word address <&3; do [ "$word" != ACCEPT ] || break; done
url=https://localhost:${address##*:}/

! curl --disable --silent --noproxy '*' --cacert ca.crt --output without "$url"
curl --disable --silent --noproxy '*' --cacert ca.crt --cert client.crt --key client.key --output with "$url"
grep -q "CN=\*.test.client" with
