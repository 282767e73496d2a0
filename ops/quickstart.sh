#!/usr/bin/env bash
# From a fresh checkout to a catalogue of real spectra: installs what is missing, builds, fetches
# the inference library and sample spectra, runs, and shows the result. Run again at any time.
set -euo pipefail
# shellcheck source=ops/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Models and the sample spectra that each is for; a model of another survey is a line more.
runs=("fcresnet|$state/spectra/spec-*" "rrnet|$state/spectra/med-*")

ops/setup.sh
ops/fetch-onnxruntime.sh
ops/fetch-spectra.sh
say "building starmill (a first build takes five to ten minutes)"
cargo build --release --locked --quiet
starmill=$(release_binary)

rows=0 rejects=0 files=0
for run in "${runs[@]}"; do
  model=${run%%|*}
  spectra=${run#*|}
  out=out/quickstart/$model
  rm -rf "$out"
  mkdir -p "$out"

  say "running $model on $spectra"
  # 1 means finished with rejects: they are in the catalogue of rejects, and counted below.
  "$starmill" run --model "$model" --out "$out" "$spectra" >"$out/summary.txt" || [ $? -eq 1 ]
  summary=$(tail -n 1 "$out/summary.txt")
  [[ $summary =~ ^rows=([0-9]+)\ rejects=([0-9]+)\ files=([0-9]+)$ ]] ||
    die "the run ended without its summary; see $out/summary.txt"
  rows=$((rows + BASH_REMATCH[1]))
  rejects=$((rejects + BASH_REMATCH[2]))
  files=$((files + BASH_REMATCH[3]))

  "$starmill" catalogue show "$out"
  # The first spectrum that gives a row; one that gives a reject ends with 1.
  for file in $spectra; do
    if "$starmill" inspect "$file" --model "$model" --plot "$out/spectrum.png" >/dev/null; then
      break
    fi
  done
  say "catalogue  $out/catalogue.fits and $out/catalogue.parquet"
  say "rejects    $out/rejects.fits and $out/rejects.parquet"
  say "picture    $out/spectrum.png"
done

say "spectra by the Guo Shou Jing Telescope (LAMOST); models are described in onnx/models/*/CARD.md"
say "rows=$rows rejects=$rejects files=$files"
