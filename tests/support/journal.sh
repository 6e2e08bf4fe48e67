# A real journald in namespaces of its own, and a service that logs to it. Run by tests/logs.rs: $T is the
# program, $STATE its state. What it prints is looked at there.
set -u
mount -t tmpfs tmpfs /run || exit 77
mkdir -p /run/systemd/journal /run/log/journal
# Named by it, or nothing is kept.
[ -s /etc/machine-id ] || { echo 0123456789abcdef0123456789abcdef > /run/id; mount --bind /run/id /etc/machine-id; }

# Waits up to a minute for a command to succeed.
patiently() {
  tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || return 1
    sleep 0.1
  done
}
journal() { journalctl --quiet --no-pager "$@"; }
logs() { "$T" logs --state-dir "$STATE" "$@"; }

"$JOURNALD" >/dev/null 2>&1 &
journald=$!
patiently test -S /run/systemd/journal/socket -a -S /run/systemd/journal/stdout || exit 77

# As systemd starts a service: standard error is the journal's, and a variable says so.
systemd-cat --identifier=testsmith sh -c '
  JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$T" watch --state-dir "$STATE"' &
service=$!
is_told() { journal "TESTSMITH_STATE_DIR=$STATE" | grep -q "$1"; }
patiently is_told watching || exit 1
logs --follow --lines 0 --json > "$STATE.followed" &
follower=$!

# Until the one that follows is there as well.
n=0
is_followed() {
  n=$((n + 1))
  printf 'package shop\n\nfunc Add(a, b int) int {\n\treturn a + b + %d\n}\n' "$n" > cart.go
  sleep 1
  [ -s "$STATE.followed" ]
}
patiently is_followed
is_written() { [ -n "$(journal TESTSMITH_OUTCOME=written)" ]; }
patiently is_written
echo "followed: $(head -n 1 "$STATE.followed")"
job=$(journal --output=json TESTSMITH_OUTCOME=written | head -n 1 | sed 's/.*"TESTSMITH_JOB_ID":\["\{0,1\}\([0-9]*\).*/\1/; s/.*"TESTSMITH_JOB_ID":"\([0-9]*\)".*/\1/')
echo "by its field: $(journal --output=cat "TESTSMITH_JOB_ID=$job" | tail -n 1)"
echo "one job: $(logs --job "$job" | grep written | head -n 1)"
echo "as json: $(logs --path cart.go --json | grep written | head -n 1)"
echo "warnings: $(logs --level warn | wc -l)"
echo "files: $(ls "$STATE/logs" | tr '\n' ' ')"
kill "$follower" "$service"
wait "$service"
echo "ended: $(logs --grep stopped | wc -l)"
kill "$journald"
wait
