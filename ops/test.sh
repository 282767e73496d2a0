#!/usr/bin/env bash
# Every check of the project, in the order in which failures are cheapest. Stops at the first one.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Runs one step and says how long it took: step NAME COMMAND...
# No `||` follows the command, which would let a function go on after a failure inside it.
current=''
step() {
  local begin=$SECONDS
  current=$1
  shift
  say "== $current"
  "$@"
  say "== $current: $((SECONDS - begin)) s"
}
trap '[ $? -eq 0 ] || printf "error: step \"%s\" failed\n" "$current" >&2' EXIT

licences_and_sources() {
  cargo deny --log-level error --all-features check bans licenses sources
}

# Known vulnerabilities are listed in a database that is fetched anew each time. Where it cannot
# be, the check says so and passes: a network failure says nothing about the code.
advisories() {
  local report
  if report=$(cargo deny --log-level error check advisories 2>&1); then
    say "$report"
  elif [[ $report == *"failed to fetch advisory database"* ]]; then
    say "skipped: the advisory database could not be fetched"
  else
    say "$report"
    return 1
  fi
}

# With the places at which tests make the program die, hang or fail; release builds refuse them.
rust_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --features failpoints --locked --no-fail-fast
    # nextest runs no examples in documentation.
    cargo test --workspace --features failpoints --locked --doc --quiet
  else
    cargo test --workspace --features failpoints --locked --quiet
  fi
}

# The flow's locks and channels under chosen schedules. A folder of its own keeps the models out of
# what the other steps have built.
schedules() {
  CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/schedules \
    cargo test --package starmill-actors --features shuttle --lib --locked --quiet
}

# One run for each folder: each has its own settings.
python_tests() {
  local folder
  for folder in onnx/export/tests tests/python; do
    if compgen -G "$folder/test_*.py" >/dev/null; then
      python -m pytest -q -rs -p no:cacheprovider "$folder"
    fi
  done
}

shell_scripts() {
  local scripts
  mapfile -t scripts < <(find ops onnx .ci -name '*.sh' -o -path .ci/run | sort)
  shellcheck --external-sources "${scripts[@]}"
}

step "set-up" ops/setup.sh --test
python_environment "$state/venv-test" ops/requirements-test.txt "about 1.4 GB"
export PATH="$PWD/$state/venv-test/bin:$PWD/$state/bin:$PATH"
step "inference library" ops/fetch-onnxruntime.sh
step "sample spectra" ops/fetch-spectra.sh

step "rustfmt" cargo fmt --all --check
step "ruff check" ruff check --quiet .
step "ruff format" ruff format --check --quiet .
step "shellcheck" shell_scripts
step "licences and sources" licences_and_sources
step "advisories" advisories
step "clippy" cargo clippy --workspace --all-targets --features failpoints --locked --quiet -- -D warnings
step "rustdoc" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
step "Rust tests" rust_tests
step "schedules of the flow" schedules
step "fuzzing" ops/fuzz.sh --seconds 5
step "Python tests" python_tests
say "all checks passed in $((SECONDS / 60)) min $((SECONDS % 60)) s"
