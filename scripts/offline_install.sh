#!/usr/bin/env bash
# Checks, joins and installs a bundle made by vicregl_fast's scripts/offline_bundle.sh; needs no network.
#   bash install.sh [--target DIR] [--data DIR]
# Installs into the environment of $PYTHON (default python3), or with --target into DIR, which then belongs on
# PYTHONPATH. The bundle's data files are put into the folder that --data names (default: data, beside this script).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
die() { echo "install: $*" >&2; exit 2; }
target=() data=$here/data
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "usage: bash install.sh [--target DIR] [--data DIR]"
    case $1 in
        --target) target=(--upgrade --target "$2") ;;
        --data) data=$2 ;;
        *) die "usage: bash install.sh [--target DIR] [--data DIR]" ;;
    esac
    shift 2
done
(cd "$here" && sha256sum --quiet -c checksums.txt) || die "a part is missing or damaged; copy it again"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat "$here"/part-* | tar -x -C "$work" ./wheels
"${PYTHON:-python3}" -m pip install -q --disable-pip-version-check --no-index --no-deps --no-cache-dir --no-compile \
    --force-reinstall "${target[@]}" "$work"/wheels/*.whl
if cat "$here"/part-* | tar -t | grep '^./data/' > /dev/null; then
    mkdir -p "$data"
    cat "$here"/part-* | tar -x -C "$data" --strip-components 2 ./data
fi
