#!/usr/bin/env bash
{{ title | comment }}
{% for line in description %}
{{ line | comment }}
{% endfor %}
#
# Made by `mtls-run export`. It needs bash, openssl 3, curl{{ " and docker" if docker else "" }}; it makes everything in a
# temporary directory, listens on loopback only, and leaves nothing behind. `KEEP=DIR bash run.sh` keeps what it makes.
{% for line in serves %}
{{ line | comment }}
{% endfor %}
# Compared: who refused whom and why as far as curl and the server's log say it, curl's exit, the HTTP status.
{% if not_compared %}
{{ ("Not compared, though the scenario does: " ~ not_compared | join(", ") ~ ".") | comment }}
{% endif %}
{% if reasons %}
#
# What plain openssl can't make was made when this was exported, and lies in forged/ (until it expires):
{% for line in reasons %}
{{ ("  " ~ line) | comment }}
{% endfor %}
{% endif %}
{% if left_out %}
#
# Left out, since these tools can't show it:
{% for line in left_out %}
{{ ("  " ~ line) | comment }}
{% endfor %}
{% endif %}

set -euo pipefail
umask 077
{% if docker %}
image=${IMAGE:-{{ image }}}
{% endif %}
unset CDPATH SSL_CERT_FILE SSL_CERT_DIR SSLKEYLOGFILE CURL_CA_BUNDLE CURL_SSL_BACKEND OPENSSL_CONF
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lab.sh" # starts servers, holds what happened against what should have, and cleans up

cd "$work"
mkdir empty pki bundles
{% if copied %}
for part in {{ copied | join(" ") }}; do cp -R "$here/$part" .; done
{% endif %}

# --- keys and certificates ---------------------------------------------------------------------------------------------

echo '# making keys and certificates'
exec 3>&2 2>openssl.log # openssl talks a lot; what it said is shown where it fails
trap 'tail -n 8 openssl.log >&3; exit 1' ERR
{% if dated %}
cat > ca.cnf <<'END'
[ca]
default_ca = lab
[lab]
database = index.txt
serial = serial
new_certs_dir = empty
default_md = default
policy = any
unique_subject = no
default_crl_days = 7
crl_extensions = of_a_crl
[any]
commonName = optional
[of_a_crl]
authorityKeyIdentifier = keyid
END
true > index.txt
{% endif %}
{% if forged %}
cp "$here"/forged/* pki/
{% endif %}
{% for step in steps %}

{{ step.what | comment }}
cat > {{ step.name }}.ext <<'END'
{% for line in step.extensions %}
{{ line }}
{% endfor %}
END
{% for line in step.commands %}
{{ line }}
{% endfor %}
{% endfor %}
{% for what, commands in crls %}

{{ what | comment }}
{% for line in commands %}
{{ line }}
{% endfor %}
{% endfor %}
{% if nobody %}

# Trusting it means trusting nobody: its key is thrown away.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=Nobody -days 1 -out pki/nobody.crt
{% endif %}
{% if bundles %}

{% for path, command in bundles %}
{{ command }} > {{ path }}
{% endfor %}
{% endif %}
trap - ERR
exec 2>&3 3>&-

# --- the cases ---------------------------------------------------------------------------------------------------------

echo '1..{{ total }}'
{% for server in servers %}

{{ server.comment | comment }}
{{ server.start }}
{% for case in server.cases %}
{{ case }}
{% endfor %}
{% endfor %}
stop
{% if left_out %}

{% for line in left_out %}
echo {{ ("# left out: " ~ line) | quoted }}
{% endfor %}
{% endif %}
if [ "$failed" -gt 0 ]; then echo "# $failed of $count failed"; else echo "# all $count as expected"; fi
[ "$failed" -eq 0 ]
