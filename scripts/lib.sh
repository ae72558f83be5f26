# Shared by the scripts: where things are cached, and the toolchains named loudly when missing. Source it; it runs nothing.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${TAUTLINE_CACHE:-$HOME/.cache/tautline}
mkdir -p "$cache"

# retried COMMAND...: runs it, and again after a pause if it fails. For what comes from a registry, never for a test.
retried() {
  "$@" || { sleep 5 && "$@"; } || { sleep 30 && "$@"; }
}

# need TOOL [DEBIAN-PACKAGE...]: true if TOOL runs; as root it is installed first where Debian has it.
need() {
  local tool=$1
  shift
  command -v "$tool" >/dev/null && return 0
  if [[ $# -gt 0 && $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "installing $* for $tool"
    { retried apt-get update -qq && retried apt-get install -y -qq "$@"; } >"$cache/apt.log" 2>&1 || cat "$cache/apt.log"
    command -v "$tool" >/dev/null && return 0
  fi
  echo "MISSING TOOLCHAIN: $tool${1:+ (Debian: $*)}"
  return 1
}

# changed STAMP FILE...: true unless STAMP was written after these very contents were installed; then run `installed`.
changed() {
  local stamp=$1
  shift
  ! cmp -s <(cat "$@" | sha256sum) "$stamp"
}

installed() {
  local stamp=$1
  shift
  cat "$@" | sha256sum >"$stamp"
}

# python_clients: the Python clients of scripts/interop in a virtual environment, $cache/interop-python.
python_clients() {
  local venv=$cache/interop-python packages=$root/scripts/interop/python/requirements.txt
  if changed "$venv/installed" "$packages"; then
    python3 -m venv "$venv" && retried "$venv/bin/pip" install -q -r "$packages" && installed "$venv/installed" "$packages"
  fi
}
