# What run.sh uses: its temporary directory, the servers, and what is made of curl's and their words.
# shellcheck shell=bash disable=SC2154

# --- two processes, so that nothing is left behind ----------------------------------------------------------------------

# The one that is run waits, and cleans up, whatever ends it. The other does the work, in a process group of its own: a
# bash that starts commands all the time may miss a signal that it traps.
{% if docker %}
remove_containers() { # all that may be there still: the engine may take its time, or refuse to remove one at first
  [ ! -s "$work/containers" ] || xargs docker rm --force --volumes <"$work/containers" >/dev/null 2>&1 || true
}
{% endif %}
clean_up() {
  trap : INT TERM HUP # one that came already changes nothing any more,
  trap '' INT TERM HUP PIPE # and nothing that is started from here on hears of the next
  local tries=20 # one that nobody reaps does not go away
  if [ -n "$worker" ]; then
    { kill -- "-$worker" && kill -CONT -- "-$worker" && wait "$worker"; } 2>/dev/null || true
    # Again: one that was being forked while its parent was suspended begins suspended, whatever came meanwhile.
    while kill -CONT -- "-$worker" 2>/dev/null && [ "$tries" -gt 0 ]; do tries=$((tries - 1)) && sleep 0.1; done
    worker=''
  fi
{% if docker %}
  remove_containers
{% endif %}
  [ -z "${KEEP:-}" ] || [ ! -d "$work" ] || { mkdir -p "$KEEP" && cp -R "$work/." "$KEEP/"; } || echo "run.sh: not all is in $KEEP" >&2 || true
  rm -rf "$work"
}
if [ "${1:-}" != --work-in ]; then
  work='' worker='' status=0
  trap clean_up EXIT
  # Each cleans up, too: in the middle of what EXIT does, it would be the end of that.
  trap 'clean_up || true; exit 130' INT
  trap 'clean_up || true; exit 143' TERM
  trap 'clean_up || true; exit 129' HUP
  work=$(mktemp -d)
  set -m
  "$BASH" "${BASH_SOURCE[1]:-$here/run.sh}" --work-in "$work" $$ &
  worker=$!
  set +m
  wait "$worker" || status=$?
  exit "$status"
fi
trap '' TTOU # `stty tostop` stops nothing
work=$2 waiter=$3{{ " container='' containers=0" if docker else '' }} server='' follower='' count=0 failed=0

alone() { # the one that cleans up was killed: this one's parent is another
  local parent
  if [ -r "/proc/$$/stat" ]; then read -r _ _ _ parent _ <"/proc/$$/stat"; else parent=$(ps -o ppid= -p $$); fi
  [ "$((parent))" -ne "$waiter" ]
}
trap '! alone || { stop;{{ " remove_containers;" if docker else '' }} rm -rf "$work"; }' EXIT

stop() { # the server that there is
  [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
{% if docker %}
  [ -z "$container" ] || docker rm --force --volumes "$container" >/dev/null 2>&1 || true
  [ -z "$follower" ] || { kill "$follower" && wait "$follower"; } 2>/dev/null || true
{% endif %}
  server='' follower=''{{ " container=''" if docker else '' }}
}
{% if dated %}

# A moment, in seconds from now, as openssl reads it; `date` of GNU, or of BSD.
from_now() {
  local at=$(($(date +%s) + $1))
  date -u -d "@$at" +%Y%m%d%H%M%SZ 2>/dev/null || date -u -r "$at" +%Y%m%d%H%M%SZ
}
{% endif %}

# --- servers -----------------------------------------------------------------------------------------------------------

wait_for() { # PATTERN: in the server's log, for as long as the server, or what follows its log, lives; 30 seconds at most
  local tries=300 lives=true
  until grep -Eq "$1" server.log; do
    $lives && [ "$tries" -gt 0 ] || return 1
    tries=$((tries - 1))
    sleep 0.1
    kill -0 "${follower:-$server}" 2>/dev/null || lives=false # its last words are in the log by now
  done
}
{% if s_server %}
start_s_server() { # OPTIONS of openssl s_server
  stop
  true >server.log # not the last one's, in which ACCEPT stands already
  openssl s_server -accept 127.0.0.1:0 "$@" </dev/null >>server.log 2>&1 &
  server=$!
  wait_for '^ACCEPT' || { tail -n 5 server.log | sed 's/^/# /' && return 1; }
  port=$(sed -n 's/^ACCEPT.*:\([0-9][0-9]*\)$/\1/p' server.log)
}
{% endif %}
{% if docker %}
start_nginx() { # PORT inside, OPTIONS of docker run
  stop
  local inside=$1
  shift
  # A name of its own: the one before may not be gone yet. It is known before there is a container, so that none is left behind.
  containers=$((containers + 1)) container=mtls-run-export-$waiter-$RANDOM$RANDOM-$containers
  echo "$container" >>"$work/containers"
  docker run --detach --name "$container" --publish "127.0.0.1::$inside" "$@" "$image" nginx -g 'daemon off; error_log stderr notice;' >/dev/null || return 1
  true >server.log
  docker logs --follow "$container" >>server.log 2>&1 &
  follower=$!
  wait_for 'start worker process' || { tail -n 5 server.log | sed 's/^/# /' && return 1; }
  port=$(docker port "$container" "$inside/tcp" | sed -n '1s/.*://p')
}
{% endif %}

# --- what happened -----------------------------------------------------------------------------------------------------

reason_of() { # CODE of OpenSSL's verification (X509_V_ERR_…)
  case $1 in
{% for codes, reason in verify_codes %}
  {{ codes }}) echo {{ reason }} ;;
{% endfor %}
  *) echo other ;;
  esac
}
alert_of() { # IN | OUT: the number of the alert in curl's words, which end in (level * 256 + number)
  sed -n "s/^.*($1), TLS alert, .*(\([0-9]*\)):*\$/\1/p" curl.log | while read -r number; do
    [ "$number" -lt 512 ] || echo $((number - 512)) # fatal ones
  done | head -n 1
}
said() { [ ! -e server.log ] || tail -n "+$((mark + 1))" server.log; } # what the server said since this case began
refused_by_server() {
  local code
  if said | grep -Eq 'peer did not return a certificate|client sent no required SSL certificate'; then
    echo 'server-refused: no-certificate'
    return
  fi
  if said | grep -Eq 'error:0A00017A:|:wrong curve'; then # SSL_R_WRONG_CURVE, of the key of the client's certificate
    echo 'server-refused: wrong-curve'
    return
  fi
  code=$(said | sed -n -e 's/^verify error:num=\([0-9]*\):.*/\1/p' -e 's/.*client SSL certificate verify error: (\([0-9]*\):.*/\1/p' | tail -n 1)
  [ -n "$code" ] && echo "server-refused: $(reason_of "$code")"
}
observed() { # curl's EXIT, STATUS, VERIFY RESULT
  local in out over=false
  in=$(alert_of IN) out=$(alert_of OUT)
  case $1 in
  58 | 43 | 77 | 82) echo client-unusable && return ;;
  59) echo 'no-agreement' && return ;;
  6 | 7) echo no-connection && return ;;
  28) echo timed-out && return ;;
  91) echo "client-refused: ocsp-${ocsp:-unavailable}" && return ;;
  esac
  # The server's log may come a moment later than its answer.
  if [ "$1" != 60 ] || [ -n "$in" ]; then
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      # It says why it refuses before it says that the handshake failed.
      if said | grep -Eq 'SSL_do_handshake\(\) failed|:error:'; then over=true; fi
      refused_by_server && return
      if [ "$1" = 0 ]; then
        [ "$2" -ge 400 ] || break
      elif $over; then
        break # with a status, a failed handshake in the log is another connection's
      fi
      sleep 0.1
    done
  fi
  case $1:$2:$in in
  0:401:* | 0:403:*) if given --cert; then echo 'server-refused: not-authorized'; else echo 'server-refused: no-certificate'; fi ;;
  0:*) echo accepted ;;
  60:*:) if grep -q 'issuer name' curl.err; then echo 'client-refused: not-compliant'; elif grep -Eq 'subject name|does not match' curl.err; then echo 'client-refused: name-mismatch'; else echo "client-refused: $(reason_of "$3")"; fi ;;
  35:*:) by_alert "$out" | without_lists ;;
  *:*:116) echo 'server-refused: no-certificate' ;;
  *:*:4[2-9]) echo 'server-refused: other' ;;
  *:*:80) # internal_error: what the two lack in common only the server may tell
    if said | grep -Eq 'error:0A000076:|:no suitable signature algorithm'; then echo no-agreement; else echo protocol-error; fi
    ;;
  35:*) echo no-agreement ;;
  *) echo no-connection ;;
  esac
}
by_alert() { # what a client holds against a server's certificate, by the number of its alert (RFC 8446, section 6)
  case $1 in
{% for codes, reason in alerts %}
  {{ codes }}) echo 'client-refused: {{ reason }}' ;;
{% endfor %}
  '') echo no-connection ;;
  40 | 70 | 71 | 80 | 109 | 110 | 120) echo no-agreement ;; # OpenSSL ends by internal_error where it has no algorithm to sign with
  *) echo protocol-error ;;
  esac
}
without_lists() { # who has no CRL holds nothing of CRLs against anybody
  if given --crlfile; then cat; else sed -E -e 's/\|(no-crl|crl-[a-z-]+)//g' -e 's/: (no-crl|crl-[a-z-]+)\|/: /'; fi
}
given() { printf '%s\n' "$command" | grep -q -- " $1 "; } # to curl
one_of() { # VALUE, ALTERNATIVES with | between them; an outcome without a reason takes any; a VALUE can be several, too
  local alternative outcome reason
  [ "$2" != - ] || return 0
  outcome=${1%%: *}
  while read -r reason; do
    [ "$1" = "$outcome" ] || reason="$outcome: $reason"
    while read -r alternative; do
      case $reason in "$alternative" | "$alternative: "*) return 0 ;; esac
    done < <(printf '%s\n' "$2" | tr '|' '\n')
  done < <(printf '%s\n' "${1#*: }" | tr '|' '\n')
  return 1
}
server_is_up() { [ "$state" = 'the server started' ]; }
server_is_down() { ! server_is_up; }
report() { # NAME, PASSED, WHAT
  local name=${1//\\/\\\\} # what a # begins is a directive (TAP 14, "Escaping")
  name=${name//[#]/\\#}
  count=$((count + 1))
  if "$2"; then echo "ok $count - $name # $3"; else
    failed=$((failed + 1))
    echo "not ok $count - $name # $3"
  fi
}
expect() { # NAME, OUTCOME, EXITS, STATUS, curl and its options; - is not compared
  local name=$1 outcome=$2 exits=$3 status=$4 mark told exit=0 http verify seen passed=true command
  shift 4
  command="$*"
  ! alone || exit 1
  mark=0
  [ ! -e server.log ] || mark=$(wc -l <server.log)
  # Nobody's .curlrc is read.
  told=$(HOME="$work/empty" CURL_HOME="$work/empty" "$@" --silent --show-error --verbose --noproxy '*' --globoff --stderr curl.log --output body \
    --write-out '%{http_code} %{ssl_verify_result}' </dev/null) || exit=$?
  read -r http verify <<<"$told"
  grep '^curl: ' curl.log >curl.err || true
  seen=$(observed "$exit" "${http:-000}" "${verify:-0}")
  one_of "$seen" "$outcome" && one_of "$exit" "$exits" && one_of "${http:-000}" "$status" || passed=false
  report "$name" "$passed" "$seen, curl exit $exit, status ${http:-000}"
  if ! $passed; then
    echo "# expected: $outcome, curl exit $exits, status $status; curl and the server said:"
    { cat curl.err && said | tail -n 5; } 2>/dev/null | sed 's/^/#   /' || true
  fi
}
