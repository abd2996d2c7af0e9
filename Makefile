# Needs Python 3.11 or newer, make and git; everything else goes into .venv.
#   make test PYTHON=/path/to/python3.11
#   make demo PIP_ARGS="--extra-index-url ..."      where pip should look for PyTorch's CPU build
#   make test PYTEST_ARGS="-k cleaning -x"

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP_ARGS ?=
PYTEST_ARGS ?=

BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --prefer-binary -c constraints.txt $(PIP_ARGS)
PYTEST = $(BIN)/python -m pytest $(PYTEST_ARGS)

.DELETE_ON_ERROR:
.PHONY: help demo ui test test-slow lint bench clean

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

demo: .venv/.base  ## price a few books with the embedded model
	@$(BIN)/bookpricer demo

ui: .venv/.ui  ## open the Streamlit front end
	@$(BIN)/bookpricer ui

test: .venv/.all  ## the quick tests
	$(PYTEST) -m "not slow and not bench"

# pytest's exit status 5, nothing selected, is no failure: PYTEST_ARGS may leave no slow test.
test-slow: .venv/.all  ## the slow tests
	$(PYTEST) -m "slow and not bench" || [ $$? -eq 5 ]

# mypy and import-linter want the package in a folder of its own name, whatever the clone is called.
lint: .venv/.all  ## formatting, style, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@mkdir -p .venv/src && ln -sfn ../.. .venv/src/bookpricer
	cd .venv/src && ../bin/mypy --config-file bookpricer/pyproject.toml
	cd .venv/src && PYTHONPATH=. ../bin/lint-imports --config bookpricer/pyproject.toml

bench: .venv/.all  ## the benchmarks
	$(BIN)/python tests/bench/run.py

clean:  ## remove the environment, builds and caches
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp for each kind of install, so that pip runs only when the dependencies have changed.
.venv/bin/python:
	@$(or $(PYTHON),python3) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "Book Pricer needs Python 3.11 or newer. Name one: make PYTHON=/path/to/python3.11")'
	$(or $(PYTHON),python3) -m venv .venv

.venv/.base: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e .
	@touch $@

.venv/.ui: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e '.[ui]'
	@touch .venv/.base $@

.venv/.all: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e '.[all,dev]'
	@touch .venv/.base .venv/.ui $@
