#!/usr/bin/env bash
# Tests and measures everything that needs a GPU, in at most 10 minutes and without a download. Every part writes
# OUT/PART.log and, if it measures, OUT/PART.json. A part that fails, or whose packages are missing, does not stop the
# others. Figures of an earlier run stay until a part has all of its own; what a stopped part has measured beside them
# is in OUT/PART.partial.json.
#   bash scripts/gpu_check.sh OUT [--images FOLDER] [--only PART,...] [--device cpu]
# --images: what the training loop and the loaders are measured with, instead of drawn pictures; 64 to some thousand.
# --only: these parts; projection takes what steps and loop have left in OUT.
# --device cpu: parts at tiny sizes, to try the script itself, in 2 minutes; on a busy machine it may take four times
#   its limits.
# Uses the interpreter $PYTHON, else that of .venv, else python3. Exit code: 3 without a GPU, 1 if a part failed, 2 if
# the script cannot start.
set -uo pipefail
say() { echo "gpu_check: $*" >&2; }
usage="usage: bash scripts/gpu_check.sh OUT [--images FOLDER] [--only PART,...] [--device cuda|cpu]"
out= images= only= device=cuda
while [ $# -gt 0 ]; do
    case $#,$1,$out in
        1,--*) say "$usage"; exit 2 ;;
        *,--images,*) images=$(realpath "$2"); shift 2 ;;
        *,--only,*) only=${2// /}; [ -n "$only" ] || { say "--only names no part"; exit 2; }; shift 2 ;;
        *,--device,*) device=$2; shift 2 ;;
        *,-*,* | *,*,?*) say "$usage"; exit 2 ;;
        *) out=$1; shift ;;
    esac
done
[[ -n $out && $device =~ ^(cuda|cpu)$ ]] || { say "$usage"; exit 2; }
python=${PYTHON:-}
[ -n "$python" ] || python=$(ls "$(dirname "$0")/../.venv/bin/python" 2>/dev/null || echo python3)
case $python in */*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;; esac
"$python" -c 'import torch' || { say "$python has no torch; set PYTHON, or run scripts/setup.sh"; exit 2; }
[ $device = cuda ] || export CUDA_VISIBLE_DEVICES=
if [ $device = cuda ] && ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    say "torch sees no GPU here (--device cpu tries the script itself, at tiny sizes)"
    exit 3
fi
[ -z "$images" ] || [ -d "$images" ] || { say "there is no folder $images"; exit 2; }
branch='/^if .*device = cuda.*then$/,/^else$/'
[ $device = cuda ] || branch='/^else$/,/^fi$/'
parts=$(sed -nE "$branch s/^ .*(part|gpu_tests) ([a-z]+) [0-9]+ .*/\2/p" "${BASH_SOURCE[0]}" | sort -u)
for name in ${only//,/ }; do
    grep -qx "$name" <<< "$parts" || { say "there is no part $name on the device $device; the parts are" $parts; exit 2; }
done
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
cd "$(dirname "$0")/.." || exit 2

slack=1  # a busy CPU may take four times as long
[ $device = cuda ] || slack=4
planned=  # seconds until the end of the part, from the start of the script
failed=0
results=()
[ ! -e "$out/parts.txt" ] || mv "$out/parts.txt" "$out/parts.earlier.txt"
work=$(mktemp -d "$out/work.XXXXXX") || exit 2
running=
trap '[ -z "$running" ] || kill -- "-$running"; rm -rf "$work"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

note() { printf '%-10s %s\n' "$1" "$2" | tee -a "$out/parts.txt"; }

# part NAME SECONDS "MODULES" COMMAND...: runs COMMAND for at most SECONDS and what earlier parts have left of theirs, if
# MODULES are installed.
part() {
    local name=$1 modules=$3 started=$SECONDS code=0 seconds module
    [[ -z $only || ,$only, = *,$name,* ]] || return 0
    planned=$((${planned:-$SECONDS} + $2 * slack))
    seconds=$((planned - SECONDS))
    shift 3
    for module in $modules; do
        "$python" -c "import importlib.util as u, sys; sys.exit(u.find_spec('$module') is None)" ||
            { note "$name" "skipped: $module is not installed"; return; }
    done
    [ "$seconds" -gt 0 ] || { note "$name" "skipped: its time is over"; return; }
    touch "$work/begun"
    timeout -k 5 "$seconds" "$@" > "$out/$name.log" 2>&1 &
    running=$!  # timeout leads a process group, which no signal to this script reaches
    wait "$running" || code=$?
    running=
    for module in "$out/$name.json" "$out/$name.partial.json"; do
        [ ! "$module" -nt "$work/begun" ] || results+=("$module")
    done
    case $code in
        0) note "$name" "ok, $((SECONDS - started)) s" ;;
        124 | 137) note "$name" "stopped after $seconds s: $out/$name.log"; failed=1 ;;
        *) note "$name" "failed with $code: $out/$name.log: $(tail -n 1 "$out/$name.log")"; failed=1 ;;
    esac
}

bench() { "$python" -m vicregl_fast.bench "$2" --device "$device" --json "$out/$1.json" "${@:3}"; }

drawn() {  # makes a store of drawn pictures, unless it is there
    [ -e "$work/pictures" ] || "$python" -m dataprep demo "$work/pictures" --images $pictures || return
    [ -e "$work/drawn.beton" ] || "$python" -m dataprep ffcv "$work/pictures/train" "$work/drawn.beton"
}

store() {  # makes $store, unless it is there
    if [ -z "$images" ]; then drawn; else [ -e "$store" ] || "$python" -m dataprep ffcv "$images" "$store"; fi
}

train() {  # EPOCHS OPTIONS...: trains on drawn pictures, and measures the run
    drawn &&
        "$python" -m vicregl_fast.train --config configs/demo.yaml --train.device "$device" --epochs "$1" \
            --data.path "$work/drawn.beton" --run_dir "$work/run" --train.log_every 1 "${@:2}" &&
        bench train run "$work/run"
}

project() {  # OPTIONS...: projects from the parts that are there
    local measured=("$out/steps.json")
    [ ! -e "$out/loop.json" ] || measured+=("$out/loop.json")
    "$python" -m vicregl_fast.bench projection --json "$out/projection.json" --measured "${measured[@]}" "$@"
}
pictures=1200
[ $device = cuda ] || pictures=48
store=$work/drawn.beton
[ -z "$images" ] || store=$work/images.beton
export -f bench drawn store train project
export python device out work images store pictures

base="timm numba tqdm cv2"
recipe="$base jsonargparse"
whole="$recipe ffcv tensorboard safetensors matplotlib"
with_gpu_tests() { grep -rl --include='*.py' 'pytest.mark.gpu' "$@"; }
mapfile -t kernel_tests < <(with_gpu_tests tests/augment tests/data tests/losses tests/optim)
mapfile -t training_tests < <(with_gpu_tests tests/training tests/test_train_cuda.py)
gpu_tests() {  # NAME SECONDS FILES...
    part "$1" "$2" "pytest pytest_timeout PIL $base" \
        "$python" -m pytest -p no:cacheprovider -v --durations 5 -m gpu "${@:3}"
}

# The most informative parts come first. With what starts and ends the script, their seconds add up to 10 minutes.
if [ $device = cuda ]; then
    format=bf16
    "$python" -c 'import sys, torch; sys.exit(torch.cuda.get_device_capability() < (8, 0))' || format=fp16
    gpus=$("$python" -c 'import torch; print(torch.cuda.device_count())')
    part copy 12 "" bash -c 'bench copy copy'
    part steps 75 "$recipe" bash -c "bench steps step --batch 128 --repeats 5 --precisions $format"
    # As README has it for one GPU: recorded.
    part loop 65 "$whole" bash -c 'store && bench loop train --path "$store" --batch 64 --steps 16 --repeats 2 \
        -- --train.cuda_graphs true'
    gpu_tests kernels 55 "${kernel_tests[@]}"
    part optimizer 16 "timm" bash -c "bench optimizer optimizer"
    part augment 36 "$base numba_cuda" bash -c 'bench augment augment --batch 256 --repeats 5'
    part loss 50 "timm numba" bash -c "bench loss loss --batch 256 --repeats 5"
    part convnext 45 "$recipe" bash -c \
        "bench convnext step --config configs/convnext_s.yaml --batch 48 --repeats 3 --precisions $format"
    part projection 10 "$recipe" bash -c project
    part compiled 55 "$recipe" bash -c "bench compiled step --batch 64 --repeats 5 --precisions $format --compile only"
    gpu_tests training 65 "${training_tests[@]}" -k "not compiled"  # compiling takes half a minute more
    part train 35 "$whole" bash -c 'train 6 --model.backbone resnet50 --batch_size 256'
    part loader 35 "$base ffcv" bash -c 'store && bench loader loader --path "$store" --batch 64 --repeats 5 --peers all'
    if [ "$gpus" -gt 1 ]; then
        part scaling 30 "$recipe" bash -c "bench scaling scaling --processes 1 $gpus --batch 128 --repeats 2"
    else
        [[ ,${only:-scaling}, != *,scaling,* ]] || note scaling "skipped: there is one GPU"
    fi
else
    heads="--expander 16 --projector 8 --repeats 2"
    echo '{model: {backbone: test_resnet, expander: 16, projector: 8}, views: {large_size: 64}}' > "$work/tiny.yaml"
    export TORCH_COMPILE_DISABLE=1  # a CPU would compile for minutes, so that the part compiled runs eagerly here
    gpu_tests kernels 35 "${kernel_tests[@]}"
    part copy 15 "" bash -c 'bench copy copy --mib 1 --repeats 2'
    part augment 35 "$base" bash -c 'bench augment augment --batch 2 --repeats 2'
    part loss 35 "timm numba" bash -c "bench loss loss --batch 4 $heads"
    part optimizer 30 "timm" bash -c "bench optimizer optimizer --backbone test_resnet $heads"
    tiny='--config "$work/tiny.yaml" --batch 4 --repeats 1'
    part steps 45 "$recipe" bash -c "bench steps step $tiny --precisions fp32"
    part train 75 "$whole" bash -c 'train 1 --model.backbone test_resnet --batch_size 8'
    part loop 60 "$whole" bash -c "store && bench loop train $tiny --path \"\$store\" --steps 2 --workers 1"
    part projection 15 "$recipe" bash -c 'project --config "$work/tiny.yaml"'
    part loader 50 "$base ffcv" bash -c 'store && bench loader loader --path "$store" --batch 8 --repeats 1'
    part scaling 45 "$recipe" bash -c "bench scaling scaling $tiny --processes 1 2 --steps 1"
    part compiled 35 "$recipe" bash -c "bench compiled step $tiny --precisions fp32 --compile only"
    gpu_tests training 30 "${training_tests[@]}"
fi

echo
if [ ${#results[@]} -gt 0 ]; then
    { cat "$out/parts.txt"; echo; "$python" -m vicregl_fast.bench show "${results[@]}"; } > "$out/summary.txt"
    tail -n +$(($(wc -l < "$out/parts.txt") + 2)) "$out/summary.txt"
    "$python" -m vicregl_fast.bench report "$out" > /dev/null && say "$out/report.md has tables and pictures"
fi
exit $failed
