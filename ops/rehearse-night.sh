#!/usr/bin/env bash
# Plays a night to `starmill serve` at 60 times real speed, with crashes, a full disk, broken, slow
# and late files, and checks that every file is accounted for once. It ends with that check, the
# nights' reports, and pictures of them and of the page where there is a Chromium:
#   rehearse-night.sh [--hours H] [--kills N] [FOLDER]    two hours and five kills, in out/rehearsal
#   --publish                                             put the page into docs/images/night.png
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder='' publish='' more=()
while [ $# -gt 0 ]; do
  case $1 in
    --publish) publish=yes ;;
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
python_environment "$state/venv-test" ops/requirements-test.txt "about 1.4 GB"
cargo build --release --locked --quiet
python=$state/venv-test/bin/python program=$(release_binary)

mkdir -p "$state"
# What the tests break disks with makes this one full for a while.
cc -shared -fPIC -O1 -o "$state/disk.so" tests/support/disk/*.c -ldl -lpthread
"$python" ops/rehearsal/rehearse.py "$folder" --program "$program" --layer "$state/disk.so" "${more[@]}"
if [ -n "$publish" ]; then
  picture=$folder/pictures/night-desk-dark.png
  [ -f "$picture" ] || die "$picture was not taken, see above; nothing is published"
  cp "$picture" docs/images/night.png
  say "published docs/images/night.png"
fi
