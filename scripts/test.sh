#!/usr/bin/env bash
# Sets up, then lints, checks types and runs the tests; arguments go to pytest (-m gpu, -k loss, ...).
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/python -m pytest -n 2 --dist loadfile "$@"  # two processes; each test file runs in one of them
