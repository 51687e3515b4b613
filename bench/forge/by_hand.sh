#!/bin/bash
# An authority and $1 leaves, each with an EC key of its own: one openssl command for each, the fewest there can be.
set -eu

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=Lab Root CA" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.crt 2>/dev/null

for ((number = 0; number < $1; number++)); do
    openssl req -x509 -CA ca.crt -CAkey ca.key -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
        -subj "/CN=leaf-$number" -addext "basicConstraints=critical,CA:FALSE" \
        -addext "keyUsage=critical,digitalSignature" -addext "extendedKeyUsage=serverAuth,clientAuth" \
        -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -keyout "leaf-$number.key" -out "leaf-$number.crt" 2>/dev/null
done
