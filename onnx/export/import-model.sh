#!/usr/bin/env bash
# Makes a model folder of published weights, without running what their files say.
# Usage: ./onnx/export/import-model.sh LAYOUT [FILE] --out FOLDER [options]
# Layouts: payne-npz, bossbrain, thedoppler, rrnet, spemr. LAYOUT --help lists the options.
set -euo pipefail

export_dir=$(cd "$(dirname "$0")" && pwd)
venv=$(cd "$export_dir/../.." && pwd)/.starmill/venv-export

if [ ! -x "$venv/bin/python" ]; then
    echo "creating a Python environment in .starmill/venv-export"
    python3 -m venv "$venv"
fi
if ! cmp -s "$export_dir/requirements.txt" "$venv/installed.txt"; then
    echo "installing into it, about 40 MB of wheels:"
    grep '==' "$export_dir/requirements.txt"
    "$venv/bin/python" -m pip install --quiet --no-deps -r "$export_dir/requirements.txt"
    cp "$export_dir/requirements.txt" "$venv/installed.txt"
fi

# Paths are relative to where the command is run.
PYTHONPATH=$export_dir OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 \
    exec "$venv/bin/python" -m starmill_export.imported.cli "$@"
