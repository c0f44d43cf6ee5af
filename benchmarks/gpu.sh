#!/usr/bin/env bash
# Tries the training on one GPU in under ten minutes: the comparison with TRL for two shapes, the
# test matrix, and a real training with its evaluation.
#
#     benchmarks/gpu.sh [FOLDER]
#
# Writes FOLDER/gpu.json and FOLDER/gpu.md (default: reports/gpu). A part that fails or takes too
# long is reported as such, and the others still run. Without a GPU, it runs the tiny shape, so that
# the script itself can be tried.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
out=${1:-reports/gpu}
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -f "$out"/*.json "$out"/*.log "$out"/parts.tsv
export OMP_WAIT_POLICY=PASSIVE HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false

shapes="1.5b 4b"
"$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || shapes="tiny"

# part NAME SECONDS COMMAND...: runs a part with a limit and notes its exit code and duration.
part() {
  local name=$1 limit=$2 start=$SECONDS code
  shift 2
  echo "== $name" >&2
  timeout --kill-after=10 "$limit" "$@" >"$out/$name.log" 2>&1
  code=$?
  printf '%s\t%s\t%s\n' "$name" "$code" "$((SECONDS - start))" >>"$out/parts.tsv"
}

for shape in $shapes; do
  VOX_DATA_DIR="$out/data-$shape" part "bench-$shape" 110 \
    "$python" benchmarks/train.py --shape "$shape" --steps 12 --runs 1
  cp "$out/data-$shape/reports/bench_train.json" "$out/bench-$shape.json" 2>/dev/null
done
part matrix 150 "$python" -m pytest -q --no-header \
  vox_assets_tests/training/program/test_families.py \
  vox_assets_tests/training/program/test_blocks.py \
  vox_assets_tests/training/program/test_trainer.py
VOX_DATA_DIR="$out/data" part training 200 "$python" -m vox_assets.cli build rebuild
"$python" benchmarks/gpu_report.py "$out"
