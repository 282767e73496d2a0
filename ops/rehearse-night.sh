#!/usr/bin/env bash
# Plays a night to `starmill serve` at 60 times real speed, with crashes, a full disk, broken, slow
# and late files, and checks that every file is accounted for once:
#   rehearse-night.sh [--hours H] [--kills N] [FOLDER]    two hours and five kills, in out/rehearsal
#   rehearse-night.sh --latency [FOLDER]                  latency at real speed, without accidents
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

latency='' folder='' more=()
while [ $# -gt 0 ]; do
  case $1 in
    --latency) latency=yes ;;
    --hours | --kills) more+=("$1" "${2:?$1 needs a number}") && shift ;;
    -*) die "unknown option $1; see the first lines of ops/rehearse-night.sh" ;;
    *) folder=$1 ;;
  esac
  shift
done
folder=${folder:-out/rehearsal}
[ ! -e "$folder" ] || die "$folder exists; remove it or name another folder"

ops/setup.sh
ops/fetch-onnxruntime.sh
python_environment "$state/venv-test" ops/requirements-test.txt "about 750 MB"
cargo build --release --locked --quiet
python=$state/venv-test/bin/python program=$(release_binary)

if [ -n "$latency" ]; then
  exec "$python" ops/rehearsal/latency.py "$folder" --program "$program"
fi
mkdir -p "$state"
# What the tests break disks with makes this one full for a while.
cc -shared -fPIC -O1 -o "$state/disk.so" tests/support/disk/*.c -ldl -lpthread
"$python" ops/rehearsal/rehearse.py "$folder" --program "$program" --layer "$state/disk.so" "${more[@]}"
say "reports: $(find "$folder/out/nights" -name report.html | sort | tr '\n' ' ')"
