#!/usr/bin/env bash
# The paper's claim in miniature: trains a ResNet-18 on drawn pictures by each of its ablations, judges every one by k-NN and by
# frozen linear segmentation, and prints its tables with the published figures beside ours.
#   bash scripts/evidence.sh OUT [--seeds 3] [--only alpha_1,alpha_0.75] [--jobs 1]
# Stopped, it goes on where it was when it is started again; what is done is not repeated.
set -euo pipefail
[ $# -gt 0 ] || { sed -n '2,5s/^# //p' "$0"; exit 2; }
out=$(realpath -m "$1")
shift
cd "$(dirname "$0")/.."
bash scripts/setup.sh
exec .venv/bin/python scripts/evidence.py "$out" "$@"
