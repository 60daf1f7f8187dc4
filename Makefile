# Every target that people and CI use. `make test` and `make bench` need only Python and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=
# Hundreds of processes are started, and each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help test bench check types examples format ci fuzz docs coverage gpu gpu-proof wheel constraints clean

help:
	@echo "make bench     run the benchmarks on generated images, judge and show them"
	@echo "make test      run the tests, on all cores"
	@echo "make check     format, lint, types, layers, docstring examples"
	@echo "make format    rewrite what ruff can fix"
	@echo "make ci        what CI runs: check, test, docs, fuzz, a rehearsal of gpu-proof, a short benchmark run"
	@echo "make docs      build the documentation into docs/_build; a warning is an error"
	@echo "make fuzz      feed damaged files and messages to every reader, for SECONDS=60"
	@echo "make coverage  line coverage of measure, judge, store and report; below 95 % fails"
	@echo "make gpu       GPU tests and benchmarks with PYTHON=...; installs nothing"
	@echo "make gpu-proof the whole GPU suite in nine minutes, into OUT; ARGS=--rehearse tries it on the CPU"
	@echo "make wheel     build the distributions and check them"
	@echo "ARGS='...' is passed to pytest, for example: make test ARGS='-k limits'"

$(READY): pyproject.toml constraints.txt
	@echo "creating $(VENV) (about a minute; PyTorch is large)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
		--group dev --editable '.[vision,history,gpu,plots,remote]'
	@touch $(READY)

# On all cores; ARGS='-n 0' runs one test after another.
PARALLEL := -n auto --maxprocesses 8 --dist worksteal
test: $(READY)
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

bench: $(READY)
	$(BIN)/python -m pytest benchmarks $(ARGS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --no-print-directory -j2 --output-sync=target types examples

types: $(READY)
	$(BIN)/mypy

examples: $(READY)
	$(BIN)/python -m pytest -q --doctest-modules tests/test_layers.py perfsuite

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Short runs on a shared machine: the measuring itself, the loaders, normalization, and counters.
SHORT_BENCH := --perf-max-time=2 --benchmark-max-time=0.3 -k 'measure or test_loaders or test_normalize or counters'
ci: check
	$(MAKE) test
	$(MAKE) docs
	$(MAKE) fuzz SECONDS=20
	$(MAKE) gpu-proof ARGS=--rehearse
	$(MAKE) bench ARGS="$(SHORT_BENCH)"

docs: $(READY)
	$(BIN)/python -m sphinx -W --keep-going -q -j auto docs docs/_build

# A finding prints the command that repeats it. TARGET=settings fuzzes one kind of input.
SECONDS ?= 60
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(if $(TARGET),--target $(TARGET))

CORE := perfsuite/measure/*,perfsuite/judge/*,perfsuite/store/*,perfsuite/report/*
coverage: $(READY)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q tests/measure tests/judge tests/store tests/report \
		tests/pytest_plugin tests/cli tests/gate $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include '$(CORE)' --skip-covered --fail-under 95

# Where perfsuite is not installed, no entry point registers its plugin, so name it.
IS_INSTALLED = $(PYTHON) -c "import importlib.metadata as m; m.version('perfsuite')" 2>/dev/null
gpu:
	PYTHONPATH=. $(PYTHON) -m pytest $$($(IS_INSTALLED) || echo -p perfsuite.pytest_plugin) \
		-m gpu tests benchmarks $(ARGS)

# A rehearsal needs no GPU, and uses the environment of the tests. `python -m benchmarks.gpu_proof.wheels --out DIR`
# downloads what a GPU machine lacks; WHEELS=DIR uses it there without installing it.
OUT ?= gpu-results
IS_REHEARSAL = $(findstring --rehearse,$(ARGS))
gpu-proof: $(if $(IS_REHEARSAL),$(READY))
	PYTHONPATH=$(CURDIR)$${PYTHONPATH:+:$$PYTHONPATH} $(if $(IS_REHEARSAL),$(BIN)/python,$(PYTHON)) \
		-m benchmarks.gpu_proof --out $(OUT) $(if $(WHEELS),--wheels $(WHEELS)) $(ARGS)

wheel: $(READY)
	rm -rf dist
	$(BIN)/uv build --quiet
	$(BIN)/uvx --quiet twine check --strict dist/*

constraints: $(READY)
	@echo "# The versions this repository is tested with; no addresses. 'make constraints' rewrites it." > constraints.txt
	$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable | grep '==' \
		| grep -vE '^(pip|setuptools)==' >> constraints.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
