#!/usr/bin/env bash
# Measures what a live night of many small commits costs, with small segments merged and without:
# segments.sh [COMMITS...], 2000 and 8000 if not said otherwise. Ten minutes on two cores.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ops/setup.sh
ops/fetch-onnxruntime.sh
python_environment "$state/venv-test" ops/requirements-test.txt "about 1.4 GB"
cargo build --release --locked --quiet
[ $# -gt 0 ] || set -- 2000 8000
"$state/venv-test/bin/python" ops/rehearsal/segments.py out/segments \
  --program "$(release_binary)" --commits "$@"
