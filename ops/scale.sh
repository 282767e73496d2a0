#!/usr/bin/env bash
# Measures what a backfill costs as it grows:
#   ops/scale.sh [SIZE ...]     (default 10000 100000 1000000)
# listing that many empty files, and committing and merging that many made-up rows. A million files
# need 1 GB of disk and as many inodes; all of it takes some ten minutes.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

for size in "$@"; do
  case $size in *[!0-9]* | '') die "unknown argument $size; see the first lines of ops/scale.sh" ;; esac
done
ops/setup.sh
STARMILL_SCALE="${*:-10000 100000 1000000}" cargo test --release --locked --quiet --test backfill -- \
  --ignored --nocapture --test-threads 1 scale_of | grep '^|'
