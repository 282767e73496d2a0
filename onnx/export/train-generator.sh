#!/usr/bin/env bash
# Trains the generator of spectra and exports it: installs, simulates, trains, writes.
# Usage: ./onnx/export/train-generator.sh [grid|data|train|all] [options]
# STARMILL_RVS_GRID names archives of syntheses; without it they are computed, about an hour.
# Stop it at any time; the same command goes on where it stopped. --help lists the options.
set -euo pipefail

# shellcheck source=onnx/export/training.sh
source "$(dirname "${BASH_SOURCE[0]}")/training.sh"

if [ -z "${STARMILL_RVS_GRID:-}" ]; then
    need_gfortran
fi

make_environment rrnet
step=all
case ${1:-} in grid | data | train | all) step=$1 && shift ;; esac
cd "$export_dir"
exec "$venv/bin/python" -m starmill_export.generator.cli "$step" "$@"
