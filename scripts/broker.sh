#!/usr/bin/env bash
# Runs a command against a broker of its own: scripts/broker.sh COMMAND [ARGUMENT...]
# The broker gets a free port and an empty data directory, COMMAND sees BOOTSTRAP, ADMIN, BROKER_PID_FILE and RESTART_COMMAND, and the
# broker ends with COMMAND. RESTART_COMMAND ends the broker by the signal RESTART_SIGNAL (TERM) and starts it again on what it left.
# Its groups settle at once, and a consumer group (KIP-848) may have a session as short as a classic one, 6 s, if it is told so.
# TAUTLINE names another binary, BROKER_FLAGS more flags for `start`, BROKER_LOG where its log goes.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

# start: runs the command line in $data/command, and waits until it says that it is ready.
start() {
  mapfile -t line <"$data/command"
  : >"$data/out" # here, not by the child: what is read below must not be what the start before this one said
  "${line[@]}" >>"$data/out" 2>>"$log" 3>&- &
  echo $! >"$data/pid"
  local hangs_at=$((SECONDS + 120))
  until grep -q '^ready:' "$data/out"; do
    kill -0 "$(<"$data/pid")" 2>/dev/null || { echo "the broker ended before it was ready:" && tail -20 "$log" && exit 1; }
    ((SECONDS < hangs_at)) || { echo "the broker is not ready 120 s after its start:" && tail -20 "$log" && exit 1; }
    sleep 0.02
  done
}

# wait_until_free: the kernel takes a killed broker's io_uring down, and the sockets in it, only after the process is gone. What is
# busy for longer than a minute isn't ours: the broker says so better than we could.
wait_until_free() {
  python3 -c 'import socket, sys, time
first, last = map(int, sys.argv[1:])
hangs_at = time.monotonic() + 60
for port in range(first, last + 1):
    while time.monotonic() < hangs_at:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                break
            except OSError:
                time.sleep(0.01)' $(<"$data/ports")
}

# stop SIGNAL: after a restart the broker is not our child, so its end is seen by asking.
stop() {
  local pid
  pid=$(<"$data/pid")
  kill "-$1" "$pid" 2>/dev/null || return 0
  for _ in {1..600}; do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.05; done
  echo "the broker is still there 30 s after SIG$1; killing it" && kill -KILL "$pid"
}

if [[ $1 == --restart ]]; then
  data=$2 log=$3
  stop "${RESTART_SIGNAL:-TERM}"
  wait_until_free
  start
  exit
fi

data=$(mktemp -d "${TMPDIR:-/tmp}/tautline-XXXXXX")
log=${BROKER_LOG:-$data/broker.log}
: >"$log"
# The ports after the broker's may become those of its lanes (--advertise lanes), and all of them must be there again after a
# restart: so they are taken from below those that the kernel gives to outgoing connections.
read -r port admin_port < <(python3 -c 'import os, random, socket
def is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
count = os.cpu_count() + 3
while True:
    port = random.randrange(15000, 31000 - count)
    if all(map(is_free, range(port, port + count))): break
print(port, port + count - 1)')
echo "$port" "$admin_port" >"$data/ports"
export BOOTSTRAP=127.0.0.1:$port ADMIN=127.0.0.1:$admin_port BROKER_PID_FILE=$data/pid
export RESTART_COMMAND="'$root/scripts/broker.sh' --restart '$data' '$log'"

end() {
  kill ${command:-} 2>/dev/null || true
  stop TERM
  rm -rf "$data"
}
soon=(--set group.initial.rebalance.delay.ms=0
  --set group.consumer.session.timeout.ms=30000 --set group.consumer.min.session.timeout.ms=6000
  --set group.consumer.heartbeat.interval.ms=500 --set group.consumer.min.heartbeat.interval.ms=500)
# shellcheck disable=SC2086
printf '%s\n' "${TAUTLINE:-$root/target/release/tautline}" start --listen "$BOOTSTRAP" --admin "$ADMIN" --data-dir "$data/data" \
  "${soon[@]}" ${BROKER_FLAGS:-} >"$data/command"
trap end EXIT
trap 'exit 143' TERM INT
start
cat "$data/out"

status=0
"$@" &
command=$!
wait "$command" || status=$?
command=
if ! kill -0 "$(<"$data/pid")" 2>/dev/null; then
  echo "the broker died:" && tail -20 "$log"
  exit 1
fi
exit "$status"
