#!/usr/bin/env bash
# Runs real Kafka clients against the broker at BOOTSTRAP: scripts/interop.sh [CLIENT...]   (all without arguments)
# A client whose toolchain is missing is skipped, on CI (CI=true) it is a failure. What they need is cached in TAUTLINE_CACHE.
# CLIENT_LOG=debug shows the Java client's log. SEED=N repeats a run's data, ONLY=part runs the checks whose names contain it. To start a broker too: scripts/broker.sh scripts/interop.sh
set -uo pipefail
source "$(dirname "$0")/lib.sh"
here=$root/scripts/interop
all=(kcat confluent-kafka kafka-python java franz-go rdkafka kafkajs kafka-tools streams)
: "${BOOTSTRAP:?the address of a running broker, as in BOOTSTRAP=127.0.0.1:9092}"

# No client may hang the run; none takes nearly as long on a busy machine.
bounded() { timeout 900 "$@"; }

# Each of the two has a program for consumer groups beside the one for all else.
python_client() {
  need python3 python3 && need pip3 python3-pip python3-venv || return 3
  python_clients || return 1
  local status=0
  for program in client groups; do bounded "$cache/interop-python/bin/python" "$here/python/$1_$program.py" || status=1; done
  return $status
}

run_kcat() { need kcat kcat && need python3 python3 || return 3; bounded python3 "$here/python/kcat_client.py"; }
run_confluent-kafka() { python_client confluent_kafka; }
run_kafka-python() { python_client kafka_python; }

run_java() {
  need javac default-jdk-headless && need mvn maven || return 3
  local build=$cache/interop-java
  retried mvn -B -q -f "$here/java/pom.xml" -Dinterop.build="$build" compile dependency:copy-dependencies >"$cache/mvn.log" 2>&1 ||
    { cat "$cache/mvn.log"; return 1; }
  bounded java -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel="${CLIENT_LOG:-off}" -cp "$build/classes:$build/dependency/*" dev.tautline.interop.Main
}

run_franz-go() {
  need go || return 3
  retried go mod download -C "$here/go" && go build -C "$here/go" -o "$cache/interop-go" . || return 1
  bounded "$cache/interop-go"
}

run_rdkafka() {
  need cargo && need make make && need cc build-essential && need pkg-config pkg-config || return 3
  retried cargo fetch -q --locked --manifest-path "$here/rdkafka/Cargo.toml" &&
    CARGO_TARGET_DIR=$cache/interop-rdkafka cargo build -q --release --locked --manifest-path "$here/rdkafka/Cargo.toml" || return 1
  bounded "$cache/interop-rdkafka/release/tautline-interop-rdkafka"
}

run_kafkajs() {
  need node nodejs && need npm npm || return 3
  local modules=$cache/interop-node
  if changed "$modules/installed" "$here/node/package-lock.json"; then
    mkdir -p "$modules" && cp "$here/node/package.json" "$here/node/package-lock.json" "$modules" &&
      retried npm --prefix "$modules" ci --silent --ignore-scripts && installed "$modules/installed" "$here/node/package-lock.json" || return 1
  fi
  NODE_PATH=$modules/node_modules bounded node "$here/node/main.js"
}

# Kafka's own tools and the smoke test of Streams share their artifacts.
kafka_tools() {
  need javac default-jdk-headless && need mvn maven || return 3
  local build=$cache/interop-tools
  retried mvn -B -q -f "$here/tools/pom.xml" -Dinterop.build="$build" compile dependency:copy-dependencies >"$cache/mvn-tools.log" 2>&1 ||
    { cat "$cache/mvn-tools.log"; return 1; }
  bounded java -Xmx512m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel="${CLIENT_LOG:-error}" -cp "$build/classes:$build/dependency/*" "$1"
}

run_kafka-tools() { kafka_tools dev.tautline.tools.Main; }
run_streams() { kafka_tools dev.tautline.tools.StreamsSmoke; }

passed=0 failed=0 skipped=0 summary=()
for client in "${@:-${all[@]}}"; do
  echo "== $client"
  SECONDS=0
  status=0
  "run_$client" || status=$?
  case $status in
    0) passed=$((passed + 1)) verdict=passed ;;
    3) if [[ ${CI:-} == true ]]; then failed=$((failed + 1)) verdict="FAILED: toolchain missing"; else skipped=$((skipped + 1)) verdict="SKIPPED: toolchain missing"; fi ;;
    *) failed=$((failed + 1)) verdict=FAILED ;;
  esac
  summary+=("$(printf '%-16s %s (%d s)' "$client" "$verdict" "$SECONDS")")
done
echo "== clients"
printf '%s\n' "${summary[@]}"
echo "clients: $passed passed, $failed failed, $skipped skipped"
[[ $failed == 0 ]]
