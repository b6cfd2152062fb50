# Everything a person or CI runs. `make help` lists it.

PYTHON ?= python3
PYTHON_RENDER ?= 3.11
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
BIN := .venv/bin
INSTALLED := .venv/.installed
RENDER := .venv-render
RENDER_INSTALLED := $(RENDER)/.installed
CONSUMERS := read_datumaro rf_detr transformers_detr ultralytics_yolo

.DEFAULT_GOAL := help
.PHONY: help venv demo check test test-consumers format sample-data wheel clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(INSTALLED)  ## .venv with garbage-synth and the tools to work on it

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "garbage-synth needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --group dev --editable .
	@touch $@

demo: $(INSTALLED)  ## run the whole line on sample_data/, in minutes, without a GPU
	$(BIN)/garbage-synth run pipelines/quickstart.yaml

check: $(INSTALLED)  ## lint, types, and which package may import which
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## check, then all tests with the coverage gate
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --cov --cov-report=term

test-consumers: $(CONSUMERS:%=.venv-consumers/%/.installed)  ## trainers and readers in environments of their own (large)
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/pipelines -m consumers -rP

.venv-consumers/%/.installed: pipelines/detectors/%.py pipelines/detectors/constraints/%.txt | $(INSTALLED)
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-consumers/$*
	$(BIN)/uv pip install --quiet --python .venv-consumers/$*/bin/python --requirements $< --constraint $(word 2,$^)
	@touch $@

format: $(INSTALLED)  ## let ruff lay out the code
	$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format --quiet .

sample-data: $(RENDER_INSTALLED)  ## render sample_data/ again (Blender as a module: Python 3.11, long)
	$(RENDER)/bin/python -m sample_data.render --committed

$(RENDER_INSTALLED): pyproject.toml | $(INSTALLED)
	$(BIN)/uv venv --quiet --allow-existing --python $(PYTHON_RENDER) $(RENDER)
	$(BIN)/uv pip install --quiet --python $(RENDER)/bin/python --group render
	@touch $@

wheel: $(INSTALLED)  ## dist/garbage_synth-*.whl
	$(BIN)/uv build --quiet --wheel

clean:  ## remove what the tools leave (not .venv, not your outputs)
	rm -rf .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist htmlcov
	find . -path './.venv*' -prune -o -type d -name __pycache__ -exec rm -rf {} +
