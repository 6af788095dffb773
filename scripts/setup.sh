#!/usr/bin/env bash
# Makes .venv with vicregl_fast and all that it needs. It may be run again at any time: what is up to date stays.
#   bash scripts/setup.sh [--stack current|volta]
# The stack is the set of versions in constraints/STACK.txt. Without --stack it is the one that .venv has, else current.
set -euo pipefail
cd "$(dirname "$0")/.."
case $#,${1:-} in
    0,) stack=$(cat .venv/.stack 2>/dev/null || echo current) ;;
    2,--stack) stack=$2 ;;
    *) echo "usage: bash scripts/setup.sh [--stack current|volta]" >&2; exit 2 ;;
esac
constraints=constraints/$stack.txt
[[ $stack =~ ^[a-z]+$ && -f $constraints ]] ||
    { echo "setup: there is no stack $stack; there are current and volta" >&2; exit 2; }

# Debian packages: what ffcv is built with, and what a virtual environment needs.
needed=(pkg-config libopencv-dev libturbojpeg0-dev)
command -v g++ >/dev/null || needed+=(g++)
python=${PYTHON:-python3}
command -v "$python" >/dev/null || { echo "setup: no $python; install Python 3.11 or newer, or set PYTHON" >&2; exit 2; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "setup: $("$python" -V) is too old; set PYTHON to Python 3.11 or newer" >&2; exit 2; }
if [ "$(command -v "$python")" = /usr/bin/python3 ]; then  # Debian's own Python: venv and headers are separate packages
    "$python" -c 'import ensurepip' 2>/dev/null || needed+=(python3-venv)
    [ -e "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] || needed+=(python3-dev)
fi

missing=()
if command -v dpkg-query >/dev/null; then
    for package in "${needed[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
elif ! pkg-config --exists opencv4 libturbojpeg 2>/dev/null; then
    missing=("${needed[@]}")
fi
if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then
        echo "setup: install the equivalents of these Debian packages first: ${missing[*]}" >&2; exit 2
    elif [ "$(id -u)" = 0 ]; then as_root=()
    elif sudo -n true 2>/dev/null || { [ -t 0 ] && command -v sudo >/dev/null; }; then as_root=(sudo)
    else
        echo "setup: neither root nor sudo; ask an administrator to run: apt-get install ${missing[*]}" >&2; exit 2
    fi
    echo "setup: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv  # .venv is missing or incomplete
stamp=$(cat setup.cfg pyproject.toml "$constraints" scripts/setup.sh | sha256sum | cut -d' ' -f1)
if [ "$(cat .venv/.installed 2>/dev/null)" != "$stamp $PWD" ]; then
    echo "setup: installing Python packages into .venv (with the CUDA libraries of torch and DALI 7 GB, on the way 10; a few minutes)"
    rm -f .venv/.installed
    echo "$stack" > .venv/.stack
    .venv/bin/python -m pip install -q --disable-pip-version-check --upgrade pip
    gpu=cuda,dali
    [ "$stack" != volta ] || gpu=cuda12,dali-cuda12
    PYTHONWARNINGS="ignore:Editable installation" \
        .venv/bin/python -m pip install -q --disable-pip-version-check -c "$constraints" -e ".[eval,export,slurm,trackers,dev,$gpu]"
    echo "setup: compiling the kernels of the CPU"
    .venv/bin/python -m vicregl_fast.bench augment --device cpu --batch 2 --repeats 1 >/dev/null
    echo "$stamp $PWD" > .venv/.installed
fi
