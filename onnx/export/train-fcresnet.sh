#!/usr/bin/env bash
# Makes onnx/models/fcresnet from nothing but packages: installs, fetches, compiles, trains, exports.
# Usage: ./onnx/export/train-fcresnet.sh [--smoke] [--out FOLDER]
set -euo pipefail

# shellcheck source=onnx/export/training.sh
source "$(dirname "${BASH_SOURCE[0]}")/training.sh"

need_gfortran
make_environment export
cd "$export_dir"
exec "$venv/bin/python" -m starmill_export.cli train "$@"
