#!/usr/bin/env bash
# Trains RRNet or SPEMR on synthetic spectra and exports it: installs, simulates, trains, writes.
# Usage: ./onnx/export/train-rrnet.sh [STEP] [options], where STEP is one of
#   grid, gradients, data, train, export, all (the default), speed, compare, import, templates,
#   velocity-templates
# STARMILL_MRS_GRID names archives of syntheses; without it they are computed, about an hour.
# Stop it at any time; the same command goes on where it stopped. --help lists the options.
set -euo pipefail

export_dir=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$export_dir/../.." && pwd)
venv=$root/.starmill/venv-rrnet

step=all
case ${1:-} in
    grid | gradients | data | train | export | all | speed | compare | import | templates | \
        velocity-templates) step=$1 && shift ;;
esac

computes_syntheses() {
    case $step in
        import | speed | templates) return 1 ;;
        grid | gradients) return 0 ;;
        *) [ -z "${STARMILL_MRS_GRID:-}" ] && [[ " $* " != *" --grid "* && " $* " != *" --help "* ]] ;;
    esac
}

if computes_syntheses "$@" && ! command -v gfortran >/dev/null; then
    echo "gfortran is missing; SYNSPEC needs it: installing the Debian package gfortran"
    if [ "$(id -u)" -ne 0 ]; then
        echo "not root: run 'apt-get install gfortran' first" >&2
        exit 1
    fi
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends gfortran
fi

if [ ! -x "$venv/bin/python" ]; then
    echo "creating a Python environment in .starmill/venv-rrnet"
    python3 -m venv "$venv"
fi
requirements=$(cat "$export_dir"/requirements{,-rrnet,-test}.txt)
if [ "$requirements" != "$(cat "$venv/installed.txt" 2>/dev/null)" ]; then
    echo "installing into it, about 190 MB of wheels:"
    grep -h '==' <<<"$requirements"
    sort -u <<<"$requirements" | grep '==' >"$venv/wanted.txt"
    "$venv/bin/python" -m pip install --quiet --no-deps -r "$venv/wanted.txt"
    printf '%s\n' "$requirements" >"$venv/installed.txt"
fi

# One thread: the sums of a threaded matrix product depend on the number of threads.
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
export XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
# Paths that are given stay relative to where the command is run.
export PYTHONPATH=$export_dir
exec "$venv/bin/python" -m starmill_export.rrnet.cli "$step" "$@"
