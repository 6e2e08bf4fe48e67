# A real systemd user manager in namespaces of its own, and a service in it from install to uninstall.
# Run by tests/systemd.rs: $T is the program, $PROJECT its project, $UNIT its unit, $HOME a folder
# of the test's own. What it prints is looked at there.
set -u
mount -t tmpfs tmpfs /run || exit 77
mkdir -p /run/systemd/system /run/user/0 && chmod 700 /run/user/0
export XDG_RUNTIME_DIR=/run/user/0 SYSTEMD_LOG_TARGET=null
unset DBUS_SESSION_BUS_ADDRESS NOTIFY_SOCKET JOURNAL_STREAM

# Waits up to ten seconds for a command to succeed.
patiently() {
  tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || return 1
    sleep 0.1
  done
}
show() { systemctl --user show --value --property="$1" "$UNIT"; }

"$SYSTEMD" --user >/dev/null 2>&1 &
patiently systemctl --user is-system-running || exit 77

cd "$PROJECT" || exit 1
"$T" service install 2>&1 || exit 1
echo "after install: $(show ActiveState), $(show StatusText)"
is_active() { [ "$(show ActiveState)" = active ]; }
systemctl --user reload "$UNIT" && patiently is_active
echo "reloaded: $(show ActiveState)"

printf 'package shop\n\n// Add adds.\nfunc Add(a, b int) int {\n\treturn a + b\n}\n' > cart.go
patiently test -e cart_testsmith_test.go && echo "tests are there"

kill -9 "$(show MainPID)"
is_back() { [ "$(show NRestarts)" = 1 ] && systemctl --user is-active "$UNIT"; }
patiently is_back && echo "back after a kill"

# What doctor says of the sandbox, outside and inside of the unit.
sandbox() { tr '{' '\n' | grep '"sandbox"'; }
"$T" doctor --no-call --json 2>/dev/null | sandbox > "$HOME/outside"
systemctl --user stop "$UNIT"
mkdir -p "$HOME/.config/systemd/user/$UNIT.d"
cat > "$HOME/.config/systemd/user/$UNIT.d/90-doctor.conf" <<UNIT
[Service]
Type=oneshot
Restart=no
WatchdogSec=0
WorkingDirectory=$PROJECT
ExecStart=
ExecStart=$T doctor --no-call --json
StandardOutput=truncate:$HOME/doctor
UNIT
systemctl --user daemon-reload
systemctl --user start "$UNIT" 2>/dev/null
sandbox < "$HOME/doctor" > "$HOME/inside"
echo "outside: $(cat "$HOME/outside")"
echo "inside: $(cat "$HOME/inside")"
[ -s "$HOME/outside" ] && cmp -s "$HOME/outside" "$HOME/inside" && echo "the sandbox is the same"
rm "$HOME/.config/systemd/user/$UNIT.d/90-doctor.conf"
systemctl --user daemon-reload

echo '[watch]
nonsense = 1' > testsmith.toml
systemctl --user reset-failed "$UNIT" 2>/dev/null
systemctl --user start "$UNIT" 2>/dev/null
sleep 3
echo "with a bad file: $(show ActiveState), exit $(show ExecMainStatus), restarts $(show NRestarts)"
rm testsmith.toml

"$T" service uninstall 2>&1
echo "after uninstall: $(show ActiveState)"
systemctl --user exit >/dev/null 2>&1
