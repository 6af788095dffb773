#!/usr/bin/env bash
# Converts the train and val folders of an ImageNet-style tree to FFCV stores, OUT_DIR/train.beton and
# OUT_DIR/val.beton.
#   scripts/write_ffcv.sh SOURCE OUT_DIR [options of `python -m dataprep ffcv`]
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/write_stores.sh"
write_stores ffcv .beton "$@"
