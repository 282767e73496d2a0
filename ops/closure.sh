#!/usr/bin/env bash
# Closure: simulates stars from labels anywhere in the trained box, runs the models over the files and
# compares what comes out with what went in. Ten minutes on two cores:
#   closure.sh [--stars N] [FOLDER]    2,000 stars a case, in out/closure
#   --docs                             writes docs/closure.md
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder='' docs='' stars=2000
while [ $# -gt 0 ]; do
  case $1 in
    --docs) docs=yes ;;
    --stars) stars=${2:?--stars needs a number} && shift ;;
    -*) die "unknown option $1; see the first lines of ops/closure.sh" ;;
    *) folder=$1 ;;
  esac
  shift
done
folder=${folder:-out/closure}
[ ! -e "$folder" ] || die "$folder exists; remove it or name another folder"

ops/setup.sh
ops/fetch-onnxruntime.sh
python_environment "$state/venv-test" ops/requirements-test.txt "about 1.4 GB"
cargo build --release --locked --quiet
program=$(release_binary)

cases=()
# closure NAME TITLE MODEL ARGUMENTS... adds a case: a night, and a catalogue of it.
closure() {
  local name=$1 title=$2 model=$3 code=0
  shift 3
  "$program" simulate-night --out "$folder/$name" --date 2026-11-21 --stars "$stars" --labels even \
    --repeats 0 --broken 0 --galaxies 0 "$@"
  "$program" run --model "$model" --out "$folder/$name.catalogue" "$folder/$name/20261121" || code=$?
  # 1: some are rejects, which the report counts.
  [ "$code" -le 1 ] || die "the run over $folder/$name ended with $code, see above"
  cases+=("$title=$folder/$name=$folder/$name.catalogue")
}
mkdir -p "$folder"
closure noise "payne, S/N 100, nothing but noise" payne --survey lrs --clean --snr 100:100
closure night "payne, S/N 50 to 200, with sky lines, cosmic rays, bad pixels" payne \
  --survey lrs --snr 50:200
closure medium "rrnet, S/N 100, nothing but noise" rrnet --survey mrs --clean --snr 100:100

report=$folder/closure.md
"$state/venv-test/bin/python" ops/closure.py "${cases[@]}" > "$report"
cat "$report"
if [ -n "$docs" ]; then
  cp "$report" docs/closure.md
  say "published docs/closure.md"
fi
