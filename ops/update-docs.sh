#!/usr/bin/env bash
# Writes the pages that are made from the code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --locked --quiet
cargo run --locked --quiet -- catalogue columns --markdown >docs/catalogue.md
echo "wrote docs/catalogue.md"
