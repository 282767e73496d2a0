#!/usr/bin/env bash
# Kills a run over and over with SIGKILL and compares its catalogue with an uninterrupted run's:
# kill-loop.sh [KILLS [FILES]], 100 kills over 3000 files if not said otherwise.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ops/setup.sh
ops/fetch-onnxruntime.sh
STARMILL_KILLS=${1:-100} STARMILL_KILL_FILES=${2:-3000} \
  cargo test --release --locked --test kills -- --nocapture
