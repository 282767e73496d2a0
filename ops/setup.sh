#!/usr/bin/env bash
# Installs what building and running need, and says so first. Run again at any time.
#   ops/setup.sh          to build and run
#   ops/setup.sh --test   and to run the tests; what only some of them need may stay away
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

packages=(gcc libc6-dev pkg-config libcfitsio-dev python3 python3-pip python3-venv)
browser=() slurm=() stilts=() tests=''
case "${1:-}" in
  '') ;;
  --test)
    packages+=(fitsverify g++ mandoc shellcheck) browser=(chromium-headless-shell)
    slurm=(munge slurmctld slurmd slurm-client) stilts=(stilts) tests=yes
    ;;
  *) die "unknown option $1; ops/setup.sh takes --test or nothing" ;;
esac

is_installed() { dpkg-query --show --showformat='${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'; }

# A compiler or Python from elsewhere serves as well as the system's package.
is_provided() {
  case $1 in
    gcc | libc6-dev) command -v cc >/dev/null ;;
    g++) command -v c++ >/dev/null ;;
    pkg-config) command -v pkg-config >/dev/null ;;
    libcfitsio-dev) pkg-config --exists cfitsio 2>/dev/null ;;
    python3) command -v python3 >/dev/null ;;
    python3-pip) python3 -m pip --version >/dev/null 2>&1 ;;
    python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    chromium-headless-shell)
      command -v chromium-headless-shell chromium chromium-browser google-chrome >/dev/null
      ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

# Those of some packages that are neither there nor provided, a line each.
missing_of() {
  local package
  for package in "$@"; do
    is_provided "$package" || is_installed "$package" || printf '%s\n' "$package"
  done
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

install_packages() {
  command -v apt-get >/dev/null || {
    say "missing: $* (Debian's names), and there is no apt-get; install their equivalents and run this again"
    return 1
  }
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null || {
    say "installing packages needs root; run as root: apt-get install $*"
    return 1
  }
  as_root apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Prometheus's package starts a server, so promtool is taken out of it and nothing is installed.
# apt checks the package against Debian's signed lists.
fetch_promtool() {
  local work
  mkdir -p "$state/bin"
  work=$(mktemp -d "$state/promtool.XXXXXX")
  # Where nothing else was missing, apt may not know the packages yet.
  if (
    cd "$work" || exit
    { apt-get download -qq prometheus || { as_root apt-get update -qq && apt-get download -qq prometheus; }; } &&
      dpkg-deb --extract ./*.deb .
  ) 2>"$work/log"; then
    mv "$work/usr/bin/promtool" "$state/bin/promtool"
  else
    say "skipped: promtool, and with it the test of the alert rules: $(tail -n 1 "$work/log")"
  fi
  rm -rf "$work"
}

# Installs what some tests can do without: install_optional WHAT SKIPPED PACKAGE...
install_optional() {
  local what=$1 skipped=$2 missing
  shift 2
  mapfile -t missing < <(missing_of "$@")
  if [ ${#missing[@]} -gt 0 ]; then
    say "installing $what: ${missing[*]}"
    install_packages "${missing[@]}" || say "skipped: $skipped"
  fi
}

mapfile -t missing < <(missing_of "${packages[@]}")
if [ ${#missing[@]} -gt 0 ]; then
  say "installing system packages: ${missing[*]}"
  install_packages "${missing[@]}" || die "the packages were not installed, see above"
fi
install_optional "a browser for the tests of the page (96 MB and its libraries)" \
  "the browser; the tests of the page will say so" "${browser[@]}"
# Its daemons do not start by themselves, since there is no slurm.conf.
if [ "$(id -u)" -ne 0 ] && [ -n "$(missing_of "${slurm[@]}")" ]; then
  say "skipped: Slurm, since this is not root; the test of backfills on a cluster will say so"
else
  install_optional "Slurm for the test of backfills on a cluster (45 MB)" \
    "Slurm; the test of backfills on a cluster will say so" "${slurm[@]}"
fi
# It brings a Java runtime along where there is none.
install_optional "STILTS for an example of docs/querying.md (32 MB and more)" \
  "STILTS; the test of its example will say so" "${stilts[@]}"
if [ -n "$tests" ] && [ ! -x "$state/bin/promtool" ] && ! command -v promtool >/dev/null; then
  say "fetching promtool for the test of the alert rules (19 MB) into $state/bin"
  fetch_promtool
fi

is_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort --version-sort | head -n 1)" = "$2" ]; }

needed_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
command -v cargo >/dev/null ||
  die "there is no cargo; install Rust $needed_rust or later with rustup (rustup toolchain install stable)"
rust=$(rustc --version | cut -d ' ' -f 2)
is_at_least "$rust" "$needed_rust" ||
  die "Rust $rust is too old, $needed_rust is needed; run: rustup update stable"

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  die "$(python3 --version) is too old, 3.11 is needed; install a newer python3 and put it first in PATH"

say "ready: Rust $rust, $(python3 --version), CFITSIO $(pkg-config --modversion cfitsio)"
