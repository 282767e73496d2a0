#!/usr/bin/env bash
# Fuzzes every reader of untrusted bytes with coverage, on the stable toolchain.
#   ops/fuzz.sh                        20 seconds each: what a change should pass
#   ops/fuzz.sh --seconds 900 fits     longer, one target
#   ops/fuzz.sh --replay FILE TARGET   one input again, with a backtrace
# What is found is kept under .starmill/fuzz and is where the next run begins. A crash ends the run
# and prints the command that replays it.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seconds=20 replay='' targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=${2:?--seconds needs a number} && shift ;;
    --replay) replay=${2:?--replay needs a file} && shift ;;
    -*) die "unknown option $1; see the first lines of ops/fuzz.sh" ;;
    *) targets+=("$1") ;;
  esac
  shift
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || die "--seconds $seconds is no number of seconds"

all=(fits survey structured inflate names settings)
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")
for target in "${targets[@]}"; do
  [[ " ${all[*]} " == *" $target "* ]] || die "there is no target $target; there are ${all[*]}"
done
command -v c++ >/dev/null || die "libFuzzer needs a C++ compiler; install g++"

# The wrapper counts branches in Starmill's crates alone, so that dependencies are built once for
# this and for the tests.
begin=$SECONDS
RUSTC_WRAPPER=$PWD/tests/fuzz/instrument.sh CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target} \
  cargo build --locked --quiet --manifest-path tests/fuzz/Cargo.toml --bins
say "built in $((SECONDS - begin)) s"
programs=${CARGO_TARGET_DIR:-target}/debug
found=$state/fuzz

if [ -n "$replay" ]; then
  [ ${#targets[@]} -eq 1 ] || die "--replay needs the one target that the file is for"
  exec env RUST_BACKTRACE=1 "$programs/${targets[0]}" "$replay"
fi

# One input may take 10 s on a machine that is busy with other things; sound ones take milliseconds.
limits=(-timeout=10 -rss_limit_mb=1024 -max_len=65536)

fuzz() {
  local target=$1 log=$found/$1.log seeds=tests/fuzz/seeds/$1 corpus=$found/$1/
  mkdir -p "$corpus" "$found/crashes"
  # What reads FITS begins with the same files.
  case $target in survey) seeds=tests/fuzz/seeds/fits ;; esac
  [ -d "$seeds" ] || seeds=
  if ! "$programs/$target" "${limits[@]}" -max_total_time="$seconds" -print_final_stats=1 \
    -dict=tests/fuzz/fits.dict -artifact_prefix="$found/crashes/$target-" \
    "$corpus" ${seeds:+"$seeds"} >"$log" 2>&1; then
    tail -n 40 "$log"
    local input
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    die "$target failed; replay it with ops/fuzz.sh --replay ${input:-FILE} $target"
  fi
  # Without counters libFuzzer would only throw dice.
  grep -q 'inline 8-bit counters' "$log" || die "$target has no coverage counters; remove ${programs}/$target and run this again"
  local runs covered
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  covered=$(sed -n 's/.*DONE *cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
  say "$target: $runs inputs, $((runs / seconds)) a second, $covered branches, $(find "$corpus" -type f | wc -l) inputs kept"
}

for target in "${targets[@]}"; do
  fuzz "$target"
done
