#!/usr/bin/env bash
# Installs what building and running need, and says so first. Run again at any time.
#   ops/setup.sh          to build and run
#   ops/setup.sh --test   and to run the tests
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

packages=(gcc libc6-dev pkg-config libcfitsio-dev python3 python3-pip python3-venv)
case "${1:-}" in
  '') ;;
  --test) packages+=(fitsverify g++ mandoc shellcheck) ;;
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
    *) command -v "$1" >/dev/null ;;
  esac
}

missing=()
for package in "${packages[@]}"; do
  is_provided "$package" || is_installed "$package" || missing+=("$package")
done

if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null ||
    die "missing: ${missing[*]} (Debian's names), and there is no apt-get; install their equivalents and run this again"
  say "installing system packages: ${missing[*]}"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "installing packages needs root; run as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
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
