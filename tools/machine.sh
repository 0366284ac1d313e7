#!/bin/sh
# The machine: what must be there before there can be a virtual environment. Prints the Python to
# use, or says in one line what is missing. Knows no package of ours.
#
#   sh tools/machine.sh            only looks
#   sh tools/machine.sh install    installs what Debian has, if it may
#
# PYTHON names the interpreter; without it the first 3.11 that runs is taken.
set -eu

wanted=3.11
may_install=${1:-}

fail() {
  echo "presence-runtime: $1" >&2
  exit 1
}

version_of() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

find_python() {
  for each in ${PYTHON:-python3.11 python3 python /usr/bin/python3.11 /usr/bin/python3}; do
    # A shim of pyenv may exist and refuse to run: only an answer counts.
    if [ "$(version_of "$each")" = "$wanted" ]; then
      echo "$each"
      return
    fi
  done
}

# Debian's names of what is not there, one line.
missing() {
  python=$(find_python)
  if [ -z "$python" ]; then
    echo python3 python3-venv python3-dev gcc libc6-dev
  elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo python3-venv
  elif ! command -v cc >/dev/null; then
    echo gcc libc6-dev
  else
    include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    echo '#include <Python.h>' | cc -I"$include" -fsyntax-only -x c - 2>/dev/null ||
      echo python3-dev libc6-dev
  fi
}

in_words() {
  case $1 in
    python3\ *)
      found=$(version_of "${PYTHON:-python3}") || found="no Python"
      echo "needs Python $wanted (${PYTHON:-python3} is $found): install it, or name it with" \
        "PYTHON=/path/to/python$wanted" ;;
    python3-venv*) echo "needs Python's venv: apt-get install $1" ;;
    gcc*) echo "needs a C compiler: apt-get install $1" ;;
    *) echo "needs Python's C headers (Python.h of $(find_python)): apt-get install $1" ;;
  esac
}

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64 | Linux-aarch64) ;;
  *) fail "runs on Linux on x86-64 and aarch64, this is $(uname -s) on $(uname -m)" ;;
esac

may_install_with_apt() {
  [ "$may_install" = install ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

install() {
  echo "installing $*" >&2
  { apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null
}

# What only tests need: a browser for the page, promtool for the alerts. It is no hindrance to have
# none: the tests that want them say so.
for_tests() {
  command -v chromium >/dev/null || echo chromium
  command -v promtool >/dev/null || echo prometheus
}

before=
while packages=$(missing) && [ -n "$packages" ]; do
  # Tried once, not ours to install, or a Python was named: Debian's would be another one.
  if [ "$packages" = "$before" ] || [ -n "${PYTHON:-}" ] || ! may_install_with_apt; then
    fail "$(in_words "$packages")"
  fi
  before=$packages
  # shellcheck disable=SC2086  # a list of names
  install $packages || fail "$(in_words "$packages") (tried, and failed)"
done
wanted_by_tests=$(for_tests)
if [ -n "$wanted_by_tests" ] && may_install_with_apt; then
  # shellcheck disable=SC2086  # a list of names
  install $wanted_by_tests || echo "presence-runtime: that failed; tests will miss it" >&2
fi
find_python
