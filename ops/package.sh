#!/usr/bin/env bash
# Builds the Debian package: program, models, ONNX Runtime, units, configuration, man pages.
#
#   ops/package.sh FOLDER                builds the release and puts starmill_VERSION_ARCH.deb there
#   ops/package.sh --built dev FOLDER    packs what is built already in this profile, for tests
#
# Needs cargo-deb (cargo install cargo-deb --locked), dpkg-dev, and network access for ONNX Runtime
# unless it is there. Exit code: 0 built, 1 failed, 2 wrong usage.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  say "usage: ops/package.sh [--built PROFILE] FOLDER" >&2
  exit 2
}

profile=release built='' pack=()
if [ "${1:-}" = --built ]; then
  profile=${2:-} built=yes pack=(--fast)
  shift 2 || usage
fi
[ $# -eq 1 ] || usage
out=$1

command -v cargo-deb >/dev/null || die "cargo-deb is missing: cargo install cargo-deb --locked"
# With the licence texts, which an installation of an older version lacks.
[ -f "$state/onnxruntime/ThirdPartyNotices.txt" ] || ops/fetch-onnxruntime.sh
[ -n "$built" ] || cargo build --locked --release

# cargo-deb looks for what Cargo.toml calls target/release in the folder of the profile.
folder=${CARGO_TARGET_DIR:-target}/$profile
[ "$profile" != dev ] || folder=${CARGO_TARGET_DIR:-target}/debug
rm -rf "$folder/package"
mkdir -p "$folder/package"
"$folder/starmill" man "$folder/package/man" >/dev/null
"$folder/starmill" completions bash >"$folder/package/starmill.bash"

cargo-deb --no-build --profile "$profile" --no-strip "${pack[@]}" --output "$out"
