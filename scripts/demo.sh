#!/usr/bin/env bash
# Runs everything once on drawn images: set up, draw, convert, train, evaluate, draw pictures, print one table.
#   bash scripts/demo.sh [OUT]     (folder for what it makes; default: demo in this repository)
# A second run keeps images and stores that are there, resumes the training, and repeats what follows.
set -euo pipefail
out=demo
[ $# = 0 ] || out=$(realpath -m "$1")
cd "$(dirname "$0")/.."
bash scripts/setup.sh
python=.venv/bin/python
started=$SECONDS
say() { printf '\n== %s\n' "$*"; }

say "Drawing 720 labelled images with masks into $out/images"
[ -d "$out/images" ] || $python -m dataprep demo "$out/images" --images 720 --seed 0

say "Converting them to FFCV stores"
for part in train val; do
    [ -f "$out/$part.beton" ] || $python -m dataprep ffcv "$out/images/$part" "$out/$part.beton"
done

say "Training a ResNet-18 with VICRegL at 96 pixels into $out/run"
$python -m vicregl_fast.train --config configs/demo.yaml --run_dir "$out/run" \
    --data.path "$out/train.beton" --data.val_path "$out/val.beton"

say "Judging it: k-nearest neighbours and frozen linear segmentation, beside a random network"
$python -m vicregl_fast.evaluate knn --run "$out/run" --random_init --size 96 \
    --train "$out/images/train" --test "$out/images/val" --json "$out/knn.json"
$python -m vicregl_fast.evaluate linear-seg --run "$out/run" --random_init \
    --train_images "$out/images/train" --train_masks "$out/images/train_masks" \
    --val_images "$out/images/val" --val_masks "$out/images/val_masks" \
    --classes 9 --json "$out/linear_seg.json"

say "Drawing the matches and the curves"
$python -m vicregl_fast.visualize matches --run "$out/run" --images "$out/images/val" --out "$out/matches.png"
$python -m vicregl_fast.visualize curves "$out/run" --out "$out/curves.png"

say "Result, after $((SECONDS - started)) seconds"
$python scripts/demo_table.py "$out"
