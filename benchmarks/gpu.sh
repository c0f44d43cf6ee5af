#!/usr/bin/env bash
# Tries the training on one GPU in under ten minutes: the comparison with TRL for two shapes, the
# test matrix, and a real training with its evaluation.
#
#     benchmarks/gpu.sh [FOLDER]
#
# Writes FOLDER/gpu.json and FOLDER/gpu.md (default: data/reports/gpu), anew after each part. A part
# that fails or takes too long is reported as such, and the others still run.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || { echo "benchmarks/gpu.sh: $python is missing: run make setup" >&2; exit 2; }
export OMP_WAIT_POLICY=PASSIVE HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false
exec "$python" benchmarks/gpu.py "$@"
