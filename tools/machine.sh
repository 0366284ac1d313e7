#!/bin/sh
# The machine: what must be there before there can be a virtual environment. Prints the Python to
# use, or says in one message all that is missing and the command that installs it. Knows no package
# of ours.
#
#   sh tools/machine.sh            only looks
#   sh tools/machine.sh install    installs it, if it may: as root, with apt
#   sh tools/machine.sh tests BIN  what only tests need: Chromium (as root, with apt), promtool
#                                  unpacked into the folder BIN, and nginx, HAProxy and Caddy into
#                                  BIN/../proxies; without them tests are skipped
#
# PYTHON names the interpreter; without it the first of 3.11, 3.12, 3.13, 3.14 that runs and has its
# headers and venv is taken. No service is started: no package's, either.
set -eu

wanted="3.11 3.12 3.13 3.14"
may=${1:-}

say() {
  echo "presence-runtime: $1" >&2
}

fail() {
  say "$1"
  exit 1
}

# -- the interpreter --------------------------------------------------------------------------------

candidates() {
  if [ -n "${PYTHON:-}" ]; then
    echo "$PYTHON"
    return
  fi
  for version in $wanted; do echo "python$version"; done
  echo python3 python
  for version in $wanted ""; do echo "/usr/bin/python${version:-3}"; done
}

# "3.11", or "3.14 free-threaded". A shim of pyenv may exist and refuse to run: only an answer counts.
version_of() {
  "$1" -c 'import sys, sysconfig
free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
print("%d.%d" % sys.version_info[:2] + " free-threaded" * free)' 2>/dev/null
}

fits() {
  case " $wanted " in *" $(version_of "$1") "*) ;; *) return 1 ;; esac
}

has_venv() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null
}

has_headers() {
  include=$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  [ -f "$include/Python.h" ]
}

# The first that lacks nothing; otherwise the first that fits.
find_python() {
  fitting=
  for each in $(candidates); do
    fits "$each" || continue
    fitting=${fitting:-$each}
    if has_venv "$each" && has_headers "$each"; then
      echo "$each"
      return
    fi
  done
  echo "$fitting"
}

# -- what is missing ---------------------------------------------------------------------------------

manager() {
  if command -v apt-get >/dev/null; then
    echo apt
  elif command -v dnf >/dev/null; then
    echo dnf
  fi
}

# The distribution's name of a Python: python3, unless that is another one.
package_of() {
  version=$(version_of "$1")
  if [ "$(version_of /usr/bin/python3)" = "$version" ]; then
    echo python3
  else
    echo "python$version"
  fi
}

# The distribution's name of a Python that it could install.
obtainable() {
  default=$(version_of /usr/bin/python3 || true)
  if [ -z "$default" ]; then
    echo python3
    return
  fi
  for version in $wanted; do
    case $(manager) in
      apt) found=$(apt-cache policy "python$version" 2>/dev/null | grep 'Candidate: [0-9]' || true) ;;
      *) found=$(dnf -q list "python$version" 2>/dev/null || true) ;;
    esac
    if [ -n "$found" ]; then
      echo "python$version"
      return
    fi
  done
}

# The packages of what is not there, one line; nothing if all is there.
missing() {
  python=$(find_python)
  if [ -n "$python" ]; then
    name=$(package_of "$python")
    has_headers "$python" && headers=yes || headers=
    has_venv "$python" && venv=yes || venv=
  else
    name=$(obtainable)
    headers='' venv=''
  fi
  packages=
  [ -n "$python" ] || packages=$name
  if [ "$(manager)" = dnf ]; then
    [ -n "$headers" ] || packages="$packages ${name:+$name-devel}"
    command -v cc >/dev/null || packages="$packages gcc"
  else
    [ -n "$venv" ] || packages="$packages ${name:+$name-venv}"
    [ -n "$headers" ] || packages="$packages ${name:+$name-dev}"
    command -v cc >/dev/null || packages="$packages gcc"
    [ -f /usr/include/stdlib.h ] || packages="$packages libc6-dev"
  fi
  # shellcheck disable=SC2086  # a list of names
  echo $packages
}

# The command that installs packages, to be pasted.
command_for() {
  [ "$(id -u)" = 0 ] && sudo='' || sudo='sudo '
  case $(manager) in
    apt) echo "${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends $*" ;;
    dnf) echo "${sudo}dnf install -y $*" ;;
    *) echo "the packages that your distribution has for: $*" ;;
  esac
}

in_words() {
  python=$(find_python)
  if [ -n "${PYTHON:-}" ] && [ -z "$python" ]; then
    found=$(version_of "$PYTHON") || found="no Python that runs"
    fail "needs one of Python $wanted, and PYTHON=$PYTHON is $found"
  fi
  if [ -z "$python" ] && [ -z "$(obtainable)" ]; then
    fail "needs one of Python $wanted, and this system has none to install: name one with \
PYTHON=/path/to/python3.12"
  fi
  say "needs Python (one of $wanted) with venv and headers, and a C compiler. What is missing:"
  # shellcheck disable=SC2086  # a list of names
  echo "  $(command_for $1)" >&2
}

# -- what is installed -------------------------------------------------------------------------------

may_install_with_apt() {
  [ "$may" != "" ] && [ "$(id -u)" = 0 ] && [ "$(manager)" = apt ]
}

# Says what and how much before it does. Services stay where they are: what is not running is not
# started (a policy of Debian's, for as long as this takes).
install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >/dev/null || return 1
  size=$(apt-get install --assume-no --no-install-recommends "$@" 2>/dev/null |
    sed -n 's/^After this operation, \(.*\) of additional.*/, \1 on the disk/p')
  echo "installing $*$size" >&2
  policy=/usr/sbin/policy-rc.d
  ours=
  if [ ! -e "$policy" ]; then
    ours=yes
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
  fi
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null && done=0 || done=1
  [ -z "$ours" ] || rm -f "$policy"
  return "$done"
}

# promtool alone out of the package `prometheus`, whose installation would start a server.
unpack_promtool() {
  into=$1
  folder=$(mktemp -d) || return 1
  chmod 755 "$folder"
  echo "unpacking promtool out of Debian's package prometheus into $into, 20 MB to load, 50 MB on" \
    "the disk" >&2
  [ "$(id -u)" != 0 ] || apt-get update -qq >/dev/null 2>&1 || true
  (cd "$folder" && apt-get download -qq prometheus >/dev/null 2>&1 &&
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xf - ./usr/bin/promtool) &&
    mv "$folder/usr/bin/promtool" "$into/promtool" && done=0 || done=1
  rm -rf "$folder"
  return "$done"
}

# nginx, HAProxy and Caddy with the libraries that are missing here, for tests of what
# docs/operations.md says of them. Unpacked and not installed: no service of theirs is ever started.
unpack_proxies() {
  into=$1
  folder=$(mktemp -d) || return 1
  chmod 755 "$folder" && mkdir -p "$folder/partial" "$folder/root"
  echo "unpacking Debian's nginx, HAProxy and Caddy into $into, 15 MB to load, 50 MB on the disk" >&2
  [ "$(id -u)" != 0 ] || apt-get update -qq >/dev/null 2>&1 || true
  apt-get install -y -qq --no-install-recommends --reinstall --download-only -o Debug::NoLocking=true \
    -o Dir::Cache::archives="$folder" nginx haproxy caddy >/dev/null 2>&1 &&
    for each in "$folder"/*.deb; do
      dpkg-deb --fsys-tarfile "$each" | tar -xf - -C "$folder/root"
    done && rm -rf "$into" && mkdir -p "$into" &&
    for each in usr/sbin/nginx usr/sbin/haproxy usr/bin/caddy; do
      mv "$folder/root/$each" "$into/" || return 1
    done && done=0 || done=1
  [ "$done" = 1 ] || [ ! -d "$folder/root/usr/lib" ] || mv "$folder/root/usr/lib" "$into/lib"
  rm -rf "$folder"
  return "$done"
}

# It is no hindrance to have none of it: the tests that want it say so, and are skipped.
for_tests() {
  bin=$1
  packages=
  command -v chromium >/dev/null || packages=chromium
  command -v systemd-analyze >/dev/null || packages="$packages systemd"
  command -v ip >/dev/null || packages="$packages iproute2"
  if [ -n "$packages" ]; then
    # shellcheck disable=SC2086  # a list of names
    if ! may_install_with_apt; then
      say "tests that need $(echo $packages | sed 's/ / and /') will be skipped. To run them, too:"
      echo "  $(command_for $packages)" >&2
    else
      install $packages || say "$packages could not be installed: tests will be skipped"
    fi
  fi
  proxies=$bin/../proxies
  if [ ! -x "$proxies/nginx" ] || [ ! -x "$proxies/haproxy" ] || [ ! -x "$proxies/caddy" ]; then
    if [ "$(manager)" != apt ] || ! unpack_proxies "$proxies"; then
      say "tests of nginx, HAProxy and Caddy will be skipped: their Debian packages were not loaded"
    fi
  fi
  command -v ip >/dev/null || say "tests of proxies will be skipped: there is no iproute2"
  if [ ! -x "$bin/promtool" ] && ! command -v promtool >/dev/null; then
    if [ "$(manager)" != apt ]; then
      say "tests that need promtool will be skipped: it is part of Prometheus' releases"
    elif ! unpack_promtool "$bin"; then
      say "Debian's package prometheus could not be loaded: tests that need promtool will be skipped"
    fi
  fi
}

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64 | Linux-aarch64) ;;
  *) fail "runs on Linux on x86-64 and aarch64, this is $(uname -s) on $(uname -m)" ;;
esac

if [ "$may" = tests ]; then
  for_tests "$2"
  exit
fi
packages=$(missing)
# A Python was named: Debian's would be another one.
if [ -n "$packages" ] && [ -z "${PYTHON:-}" ] && may_install_with_apt; then
  # shellcheck disable=SC2086  # a list of names
  install $packages || say "that failed"
  packages=$(missing)
fi
python=$(find_python)
if [ -n "$packages" ] || [ -z "$python" ]; then
  in_words "$packages"
  exit 1
fi
echo "$python"
