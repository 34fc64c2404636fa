#!/usr/bin/env bash
# Sets up what is missing, then runs voltface or its tests. Everything but the system
# packages stays in .venv beside this file.
#
#   ./voltface.sh demo          any command of voltface, with its options
#   ./voltface.sh test          the tests, with any options of pytest
#   ./voltface.sh setup         only set up
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$here/.venv

say() { echo "voltface.sh: $*" >&2; }

find_python() {
  local name
  for name in python3.12 python3.11 python3 python; do
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  say "no Python 3.11 or 3.12 was found. On Debian or Ubuntu: sudo apt-get install python3 python3-venv"
  exit 2
}

# Prints those of the packages that are not installed.
missing_packages() {
  local python=$1 name
  for name in libegl1 libgl1 libgl1-mesa-dri libgles2 libglib2.0-0; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || echo "$name"
  done
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    echo "$(basename "$(readlink -f "$python")")-venv"
}

install_packages() {
  local python=$1 missing as_root=()
  command -v apt-get >/dev/null || return 0
  missing=$(missing_packages "$python")
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -v 2>/dev/null; then
      say "these packages are missing and this user may not install them; an administrator can:"
      say "  apt-get install" $missing
      return 0
    fi
    as_root=(sudo)
  fi
  say "installing" $missing
  "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    say "apt-get failed; going on, and 'voltface doctor' will say what is missing"
}

# Makes .venv and installs the package in it, unless that was done for this very pyproject.toml.
set_up() {
  local extras=$1 python wanted stamp=$venv/.voltface
  wanted="$extras $(cksum <"$here/pyproject.toml") $here"
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return 0; fi
  python=$(find_python)
  install_packages "$python"
  say "installing voltface and its libraries into .venv (several hundred MB, a few minutes)"
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$here$extras"
  echo "$wanted" >"$stamp"
}

case ${1:-} in
  test)
    shift
    set_up '[dev]'
    cd "$here"
    exec "$venv/bin/python" -m pytest "$@"
    ;;
  setup)
    set_up "${2:-}"
    ;;
  '')
    sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
    ;;
  *)
    if [ -f "$venv/.voltface" ] && grep -q '^\[dev\]' "$venv/.voltface"; then set_up '[dev]'; else set_up ''; fi
    exec "$venv/bin/voltface" "$@"
    ;;
esac
