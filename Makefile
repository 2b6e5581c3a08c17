# Everything a newcomer needs. Each target makes .venv itself, from the lock.
.DEFAULT_GOAL := help
.PHONY: help up down test check bench results load chaos clean env lock spark test-spark

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
UV     := uv==0.13.9
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export UV_LINK_MODE ?= copy

help:            ## this list
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+: *##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else \
	  "SentinelML needs Python 3.11, 3.12 or 3.13, found %d.%d at %s. Name another: make PYTHON=python3.12 …" % (*v, sys.executable))'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet "$(UV)"
	@echo "Installing the locked requirements into $(VENV) …"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

up: $(STAMP)     ## start everything, train, promote, serve, and show where it is
	@$(BIN)/sentinel up $(ARGS)

down: $(STAMP)   ## stop everything; data and models stay
	@$(BIN)/sentinel down

test: $(STAMP)   ## all tests but the long chaos and benchmark forms
	@$(BIN)/python -m pytest -m "not chaos" $(ARGS)

check: $(STAMP)  ## ruff, mypy, import layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(STAMP)  ## measure speed, memory and quality; docs/results.md shows it
	@$(BIN)/python -m tests.benchmarks $(ARGS)

results: $(STAMP) ## write docs/results.md and docs/capacity.md from docs/results/*.json; nothing is measured
	@$(BIN)/python -m tests.benchmarks.results

load: $(STAMP)   ## Locust against the running service: its page, or PROFILE=steady500 headless with a budget
	@$(BIN)/python -m tests.load $(if $(PROFILE),--profile $(PROFILE)) $(ARGS)

chaos: $(STAMP)  ## the long form of the fault tests
	@$(BIN)/python -m pytest -m chaos $(ARGS)

spark: $(STAMP)  ## add PySpark (half a gigabyte) for `sentinel features --engine spark`; Java is the system's
	@$(BIN)/uv pip install --python $(BIN)/python -r pyproject.toml --extra spark --constraint requirements.txt

test-spark: spark ## the tests that need PySpark and Java
	@$(BIN)/python -m pytest -m spark $(ARGS)

env:             ## write .env with generated secrets, for docker compose; any Python from 3.9 on does
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 9) else \
	  "make env needs Python 3.9 or newer, found %d.%d. Name another: make env PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -m sentinel_core.local.dotenv

lock: $(STAMP)   ## refresh both lock files from their .in files
	@$(BIN)/uv pip compile --quiet requirements.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --prerelease if-necessary-or-explicit --custom-compile-command 'make lock' --output-file requirements.txt
	@$(BIN)/uv pip compile --quiet serving/requirements.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --prerelease if-necessary-or-explicit --constraints requirements.txt --custom-compile-command 'make lock' --output-file serving/requirements.txt

clean: down      ## stop everything and remove .venv; .sentinel (data, models) stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .bench
