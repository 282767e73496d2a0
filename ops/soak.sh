#!/usr/bin/env bash
# One process over a night that does not end, and its memory: soak.sh [MINUTES [FILES_PER_SECOND]],
# 60 minutes with 50 files a second if not said otherwise.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ops/setup.sh
ops/fetch-onnxruntime.sh
STARMILL_SOAK_MINUTES=${1:-60} STARMILL_SOAK_RATE=${2:-50} \
  cargo test --release --locked --test soak -- --nocapture
