#!/usr/bin/env bash
# Trains the Payne on synthetic spectra and exports it: installs, fetches, simulates, trains, writes.
# Usage: ./onnx/export/train-payne.sh [all|train|compare] [--model payne|payne-mrs] [options]
# payne-mrs needs RRNet's emulator: STARMILL_MRS_GRID, or ./onnx/export/train-rrnet.sh grid, first.
# Stop it at any time; the same command goes on where it stopped. --help lists the options.
set -euo pipefail

# shellcheck source=onnx/export/training.sh
source "$(dirname "${BASH_SOURCE[0]}")/training.sh"

make_environment rrnet
step=all
case ${1:-} in all | train | compare) step=$1 && shift ;; esac
cd "$export_dir"
exec "$venv/bin/python" -m starmill_export.payne.cli "$step" "$@"
