#!/usr/bin/env bash
# Makes a model folder of published weights, without running what their files say.
# Usage: ./onnx/export/import-model.sh LAYOUT [FILE] --out FOLDER [options]
# Layouts: payne-npz, bossbrain, thedoppler, rrnet, spemr. LAYOUT --help lists the options.
set -euo pipefail

# shellcheck source=onnx/export/training.sh
source "$(dirname "${BASH_SOURCE[0]}")/training.sh"

make_environment export
# Paths are relative to where the command is run.
export PYTHONPATH=$export_dir
exec "$venv/bin/python" -m starmill_export.imported.cli "$@"
