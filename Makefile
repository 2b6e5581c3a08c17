# Everything a newcomer needs. Each target makes .venv itself, from the lock.
.DEFAULT_GOAL := help
.PHONY: help up down test test-fast test-slow check bench results load chaos clean purge env lock spark test-spark

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
LONG   := slow or e2e or browser or chaos
# A worker of pytest-xdist a core, and never more than four: each has a PostgreSQL and a Redis of its own.
WORKERS ?= logical
SIDE_BY_SIDE := --numprocesses $(WORKERS) --maxprocesses 4 --dist loadgroup --no-loadscope-reorder --max-worker-restart 0
# Where it is set, as in many container images, each process compiles all that it imports: MLflow 8 s of CPU for 3.
unexport PYTHONDONTWRITEBYTECODE

help:            ## this list
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+: *##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.txt pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo 'install: expected Python 3.9 or newer by the name $(PYTHON), found none. Name yours: make PYTHON=…' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:3]; sys.exit(v < (3, 9) and \
	  "install: expected Python 3.9 or newer, found %d.%d.%d by the name $(PYTHON). Name another: make PYTHON=python3.12" % v)'
	@$(PYTHON) deploy/install

up: $(STAMP)     ## start everything, train, promote, serve, and show where it is
	@$(BIN)/sentinel up $(ARGS)

down:            ## stop everything; data and models stay
	@if test -x $(BIN)/sentinel; then $(BIN)/sentinel down; else echo 'Nothing is installed here, so nothing runs.'; fi

test: $(STAMP)   ## the tests of every day, one short start of the whole stack among them; WORKERS=N side by side
	@$(PYTEST) $(SIDE_BY_SIDE) -m "not ($(LONG))" $(ARGS)

test-fast: $(STAMP) ## those of them that need no server, in less than a minute
	@$(PYTEST) $(SIDE_BY_SIDE) -m "not (server or $(LONG))" $(ARGS)

test-slow: $(STAMP) ## what takes long: trainings, simulations, the whole stack, pages in a browser, the short chaos form
	@$(PYTEST) $(SIDE_BY_SIDE) -m "slow and not (e2e or browser or chaos)" $(ARGS)
	@$(PYTEST) -m "(e2e or browser) and not chaos" $(ARGS)

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
	@rm -rf $(VENV) .venv.tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .bench

purge: clean     ## remove everything that `make` made: .venv and .sentinel with all data and models
	@rm -rf .sentinel
