#!/usr/bin/env bash
# Measures how training steps scale with the GPUs of this machine: 1, 2, 4 and 8 of them, as many as there are, with a
# fixed batch per GPU and with a fixed global batch. Prints one table for each number of GPUs; writes OUT/scaling.json,
# OUT/report.md and OUT/scaling.png.
#   bash scripts/bench_gpus.sh OUT [OPTIONS of "vicregl_fast.bench scaling", such as --config configs/r50.yaml --batch 64]
# With --device cpu among them, processes of the CPU stand for GPUs, to try the script itself. Uses the interpreter
# $PYTHON, else that of .venv, else python3. Exit code: 3 without a GPU, 2 if a measurement or the script cannot start.
set -uo pipefail
say() { echo "bench_gpus: $*" >&2; }
[[ $# -ge 1 && $1 != -* ]] || { say "usage: bash scripts/bench_gpus.sh OUT [OPTIONS]"; exit 2; }
python=${PYTHON:-}
[ -n "$python" ] || python=$(ls "$(dirname "$0")/../.venv/bin/python" 2>/dev/null || echo python3)
case $python in */*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;; esac
"$python" -c 'import torch' || { say "$python has no torch; set PYTHON, or run scripts/setup.sh"; exit 2; }
mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 2
shift
root=$(cd "$(dirname "$0")/.." && pwd) || exit 2
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}  # and no cd, since OPTIONS may name files from here

unit=GPUs
case " $* " in
    *" --device cpu "* | *" --device=cpu "*) unit="CPU processes"; here=2 ;;
    *) here=$("$python" -c 'import torch; print(torch.cuda.device_count())') || exit 2 ;;
esac
counts=()
for count in 1 2 4 8; do [ "$count" -gt "$here" ] || counts+=("$count"); done
[ ${#counts[@]} -gt 0 ] || { say "torch sees no GPU here (--device cpu tries the script itself)"; exit 3; }

failed=0
begun=$(mktemp) && trap 'rm -f "$begun"' EXIT
"$python" -m vicregl_fast.bench scaling --json "$out/scaling.json" --processes "${counts[@]}" "$@" > "$out/scaling.log" ||
    failed=1
measured=$out/scaling.json
if [ $failed = 1 ]; then
    say "the measurement failed"
    [ ! "$out/scaling.partial.json" -nt "$begun" ] || measured=$out/scaling.partial.json
    [ "$measured" -nt "$begun" ] || exit 2  # nothing was measured, and what is there is of another run
fi
for count in "${counts[@]}"; do
    table=$("$python" -m vicregl_fast.bench show "$measured" --only "scaling.$count.") || exit 2
    [ -n "$table" ] || continue  # it was not reached
    printf '\n%s %s\n%s\n' "$count" "$unit" "$table"
done
"$python" -m vicregl_fast.bench report "$out"
[ $failed = 0 ] || exit 2
