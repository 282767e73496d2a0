#!/usr/bin/env bash
# Measures starmill stage by stage and end to end against libdeflate and a Python baseline:
#   ops/bench.sh [N]       with N files in each of three layouts (default 1000)
#   --large                also peak memory on 10,000 files against 1,000
#   --repetitions R        how often everything is run (default 5)
# or how long a file of a live night takes to its durable row, at real speed:
#   ops/bench.sh latency   four minutes with 4,060 files
# or how labels scatter over the real medium-resolution epochs of one star:
#   ops/bench.sh epochs    needs the spectra that ops/fetch-spectra.sh gets, or STARMILL_REAL_DATA
# or how fast spectra are made from labels, beside the generator's paper:
#   ops/bench.sh generate  a minute
# or how fast the recipe and the velocities of medium resolution are on one core:
#   ops/bench.sh medium    ten minutes, most of them to build
# or what the chi-square of every row costs a night of low-resolution files:
#   ops/bench.sh consistency [N]
# or how long queries over a million rows take, and what memory:
#   ops/bench.sh query     seconds, but for the build; needs GNU time
# or how fast each graph of an RRNet is on one core, of the model folder that train-rrnet.sh wrote:
#   ops/bench.sh rrnet FOLDER
#   --publish              write into docs/benchmarks.md instead of out/bench
# Exit code 1 means that a goal is not met.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

what=rates count=1000 repetitions=5 large='' report='' folder=''
while [ $# -gt 0 ]; do
  case $1 in
    latency | epochs | generate | medium | consistency | query) what=$1 ;;
    rrnet) what=$1 folder=$(realpath "${2:?rrnet needs a model folder}") && shift ;;
    --large) large=out/bench/large ;;
    --repetitions) repetitions=${2:?--repetitions needs a number} && shift ;;
    --publish) report=docs/benchmarks.md ;;
    *[!0-9]* | '') die "unknown argument $1; see the first lines of ops/bench.sh" ;;
    *) count=$1 ;;
  esac
  shift
done

ops/setup.sh
ops/fetch-onnxruntime.sh

if [ "$what" = rrnet ]; then
  STARMILL_RRNET=$folder cargo test --release --locked --quiet -p starmill-onnx \
    --test rrnet_speed -- --ignored --nocapture | grep '^|'
  exit
fi

if [ "$what" = query ]; then
  # Its table is a section that is copied into docs/benchmarks.md.
  mkdir -p out/bench
  cargo test --release --locked --quiet --test query -- --ignored --nocapture |
    grep '^|' | tee out/bench/query.md
  exit
fi

python_environment "$state/venv-test" ops/requirements-test.txt "about 1.4 GB"
cargo build --release --locked --quiet
python=$state/venv-test/bin/python
mkdir -p out/bench

if [ "$what" = latency ]; then
  place=$(mktemp -d out/bench/latency.XXXXXX)
  "$python" ops/rehearsal/latency.py "$place/night" --program "$(release_binary)" \
    --out out/bench/latency.json
  rm -rf "$place"
  "$python" ops/bench/report.py out/bench/latency.json --latency \
    --out "${report:-out/bench/latency.md}"
  exit
fi

if [ "$what" = epochs ]; then
  cargo test --release --locked --quiet --test medium -- --ignored --nocapture |
    grep -E '^\||^$' | cat -s >out/bench/epochs.md
  grep -q '^|' out/bench/epochs.md || die "no spectra or no model; ops/fetch-spectra.sh gets ten"
  "$python" ops/bench/report.py out/bench/epochs.md --epochs \
    --out "${report:-out/bench/epochs-report.md}"
  exit
fi

if [ "$what" = medium ]; then
  for test in mrs_recipe rv; do
    cargo test --release --locked --quiet --test "$test" -- --ignored --nocapture |
      grep '^|' && echo
  done >out/bench/medium.md
  "$python" ops/bench/report.py out/bench/medium.md --medium \
    --out "${report:-out/bench/medium-report.md}"
  exit
fi

if [ "$what" = generate ]; then
  # Its table is a section that is copied into docs/benchmarks.md.
  "$python" ops/bench/generate.py --starmill "$(release_binary)" --repetitions "$repetitions" \
    --out out/bench/generate.md
  exit
fi

if [ "$what" = consistency ]; then
  # Its table is a section that is copied into docs/benchmarks.md.
  night=out/bench/giants-$count
  [ -d "$night" ] || "$(release_binary)" simulate-night --survey lrs --stars "$count" --repeats 0 \
    --broken 0 --galaxies 0 --date 2026-11-21 --out "$night"
  "$python" ops/bench/consistency.py --starmill "$(release_binary)" --data "$night" \
    --repetitions "$repetitions" --out out/bench/consistency.md
  exit
fi

"$python" ops/bench/make_lrs.py "out/bench/$count" --count "$count"


if [ -n "$large" ]; then
  "$python" ops/bench/make_lrs.py "$large" --count 10000 --layouts image
fi
"$python" ops/bench/measure.py --starmill "$(release_binary)" --data "out/bench/$count" \
  --repetitions "$repetitions" --out out/bench/results.json ${large:+--large "$large"}
# A table is what a test prints between its own lines.
cargo test --release --locked --quiet --test reader_speed -- --ignored --nocapture |
  grep '^|' >out/bench/readers.md
"$python" ops/bench/report.py out/bench/results.json --readers out/bench/readers.md \
  --out "${report:-out/bench/report.md}"
