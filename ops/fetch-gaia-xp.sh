#!/usr/bin/env bash
# Puts the table of 40,226 real Gaia XP spectra with APOGEE labels (104 MB) into .starmill/gaia-xp.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=ops/pins-data.sh
source ops/pins-data.sh

python3 ops/fetch_sdist.py \
  --package "$GAIA_XP_PACKAGE" \
  --archive "$GAIA_XP_ARCHIVE" \
  --sha256 "$GAIA_XP_ARCHIVE_SHA256" \
  --size "$GAIA_XP_ARCHIVE_SIZE" \
  --members ops/gaia-xp.sha256 \
  --into "$state/gaia-xp"
