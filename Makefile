# Every target that people and CI use. `make test` and `make bench` need only Python and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help test bench coverage check format gpu constraints clean

help:
	@echo "make bench   run the benchmarks on images made here, judge and show them"
	@echo "make test    run the tests"
	@echo "make check   format, lint, types, layers, docstring examples: what CI calls clean"
	@echo "make coverage  lines of the right wing that its tests look at: 90 % or red"
	@echo "make format  let ruff rewrite what it can"
	@echo "make gpu     GPU tests and benchmarks with PYTHON=... as it is; nothing is installed"
	@echo "ARGS='...' is handed to pytest, for example: make test ARGS='-k limits'"

$(READY): pyproject.toml constraints.txt
	@echo "setting up $(VENV) (about a minute; PyTorch is large)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
		--group dev --editable '.[vision,gpu,remote]'
	@touch $(READY)

test: $(READY)
	$(BIN)/python -m pytest $(ARGS)

bench: $(READY)
	$(BIN)/python -m pytest benchmarks $(ARGS)

# The right wing is what judges others: its tests look at nine lines of ten at least.
RIGHT_WING := perfsuite/measure/*,perfsuite/judge/*,perfsuite/store/*,perfsuite/report/*
coverage: $(READY)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q tests/measure tests/judge tests/store tests/report \
		tests/pytest_plugin tests/cli tests/gate $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include '$(RIGHT_WING)' --skip-covered --fail-under 90

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py
	$(BIN)/python -m pytest -q --doctest-modules perfsuite

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Where perfsuite is not installed no entry point announces its plugin, so it is named.
IS_INSTALLED = $(PYTHON) -c "import importlib.metadata as m; m.version('perfsuite')" 2>/dev/null
gpu:
	PYTHONPATH=. $(PYTHON) -m pytest $$($(IS_INSTALLED) || echo -p perfsuite.pytest_plugin) \
		-m gpu tests benchmarks $(ARGS)

constraints: $(READY)
	@echo "# The versions this repository is tested with; no addresses. 'make constraints' rewrites it." > constraints.txt
	$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable | grep '==' >> constraints.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
