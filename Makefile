# Every target makes its own environment from the hash-locked requirements.lock; only Python >= 3.11 and make are needed.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
ORACLE := .venv-oracle
ORACLE_READY := $(ORACLE)/.ready

# Compiled bytecode is a large part of a fast start, also where the caller switched it off.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test stress check bench docs oracle lock clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "rustybt needs Python 3.11 or later: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Making $(VENV) from requirements.lock, once; about a minute ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## CSV of real daily bars -> bundle -> backtest -> report, in demo-output/
	$(BIN)/rustybt demo --output demo-output

test: $(READY)  ## All tests, with branch coverage
	rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest -n 2 --dist worksteal -m "not stress"
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

stress: $(READY)  ## Minutes of processes, kills and damage: 8 x 1,000 requests with evictions, 100 kills, 400 flipped bits
	$(BIN)/python -m pytest -m stress -q

check: $(READY)  ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## Ratios against peers, measured in one run; beside zipline-reloaded after `make oracle`
	$(BIN)/python -m tests.bench

docs: $(READY)  ## Run every code block and command of the documentation
	$(BIN)/python -m pytest tests/docs -q

oracle: $(ORACLE_READY)  ## Regenerate the expected results with zipline-reloaded, in an environment of its own
	$(ORACLE)/bin/python tests/oracle/generate.py

$(ORACLE_READY): tests/oracle/requirements.txt
	$(PYTHON) -m venv $(ORACLE)
	$(ORACLE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/oracle/requirements.txt
	@touch $@

lock:  ## Resolve requirements.lock again (no index address is written)
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet uv
	.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --all-extras --group dev pyproject.toml --output-file requirements.lock

clean:  ## Remove environments and everything generated
	rm -rf .venv .venv-oracle .venv-lock demo-output .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
