#!/usr/bin/env bash
# Trains RRNet or SPEMR on synthetic spectra and exports it: installs, simulates, trains, writes.
# Usage: ./onnx/export/train-rrnet.sh [STEP] [options], where STEP is one of
#   grid, gradients, data, train, export, all (the default), speed, compare, import, templates,
#   velocity-templates
# STARMILL_MRS_GRID names archives of syntheses; without it they are computed, about an hour.
# Stop it at any time; the same command goes on where it stopped. --help lists the options.
set -euo pipefail

# shellcheck source=onnx/export/training.sh
source "$(dirname "${BASH_SOURCE[0]}")/training.sh"

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

if computes_syntheses "$@"; then
    need_gfortran
fi

make_environment rrnet
# Paths that are given stay relative to where the command is run.
export PYTHONPATH=$export_dir
exec "$venv/bin/python" -m starmill_export.rrnet.cli "$step" "$@"
