#!/usr/bin/env bash
# Looks for data races and undefined behaviour in the flow and in the libraries below it.
#   ops/sanitize.sh             both checks
#   ops/sanitize.sh thread      ThreadSanitizer on all of the flow's tests; minutes to build
#   ops/sanitize.sh miri        Miri on a few of them; it runs some thousand times slower
# Both need a nightly toolchain, which the project itself does not. What cannot run is named and
# skipped, with what would make it run; the script fails only on a finding.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Instrumented libraries do not mix with others, so each check builds in a folder of its own.
target=${CARGO_TARGET_DIR:-target}
host=$(rustc -vV | sed -n 's/^host: //p')

# Whether nightly has a component: has NAME WHAT
has() {
  if ! cargo +nightly --version >/dev/null 2>&1; then
    say "skipped: $2, there is no nightly toolchain; rustup toolchain install nightly"
  elif ! rustup component list --toolchain nightly 2>/dev/null | grep -q "^$1.*(installed)"; then
    say "skipped: $2, nightly lacks $1; rustup component add --toolchain nightly $1"
  else
    return 0
  fi
  return 1
}

# The standard library is built too: its locks would otherwise be unknown to the sanitizer, and
# everything that they guard would look like a race.
thread_sanitizer() {
  has rust-src "ThreadSanitizer" || return 0
  say "== ThreadSanitizer"
  CARGO_TARGET_DIR=$target/sanitize-thread RUSTFLAGS="-Zsanitizer=thread" \
    TSAN_OPTIONS="halt_on_error=1" \
    cargo +nightly test --locked --quiet -Zbuild-std --target "$host" \
    --package starmill-actors --tests
}

# Tests of a few items each, which still start an actor system, drain, stop, fail and panic. Those
# with more take minutes each.
miri() {
  has miri "Miri" || return 0
  has rust-src "Miri" || return 0
  say "== Miri"
  CARGO_TARGET_DIR=$target/sanitize-miri MIRIFLAGS="-Zmiri-disable-isolation" \
    cargo +nightly miri test --locked --quiet --package starmill-actors \
    --test flow --test stops -- \
    a_failing_source_is_named a_panicking_source_is_a_failure leaving_without_a_cause \
    a_stage_can_be_called a_stopper_tells a_stop_wakes_who_rests outside_of_a_flow
}

case "${1:-both}" in
  both)
    thread_sanitizer
    miri
    ;;
  thread) thread_sanitizer ;;
  miri) miri ;;
  *) die "unknown check $1; ops/sanitize.sh takes thread, miri or nothing" ;;
esac
