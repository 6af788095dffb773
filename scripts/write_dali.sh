#!/usr/bin/env bash
# Converts the train and val folders of an ImageNet-style tree to WebDataset shards for DALI, in OUT_DIR/train and
# OUT_DIR/val.
#   scripts/write_dali.sh SOURCE OUT_DIR [options of `python -m dataprep webdataset`]
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/write_stores.sh"
write_stores webdataset "" "$@"
