#!/usr/bin/env bash
# Puts ten LAMOST spectra (2 low, 8 medium resolution) into .starmill/spectra.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=ops/pins-data.sh
source ops/pins-data.sh

python3 ops/fetch_sdist.py \
  --package "$SPECTRA_PACKAGE" \
  --archive "$SPECTRA_ARCHIVE" \
  --sha256 "$SPECTRA_ARCHIVE_SHA256" \
  --size "$SPECTRA_ARCHIVE_SIZE" \
  --members ops/spectra.sha256 \
  --into "$state/spectra"
