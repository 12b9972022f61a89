# Everything a developer or a newcomer does. `make help` lists it; `make run` is the place to start.

SHELL := /bin/sh
.DELETE_ON_ERROR:
# Images of Python forbid what is compiled to be kept; here many processes start, and each would compile all anew.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

# The first Python ≥ 3.11 there is; `make run PYTHON=/usr/bin/python3.13` chooses another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Most tests wait for servers: three at a time use two cores well. Each worker starts servers of its own.
WORKERS ?= 3
COMPILE := pip compile -q --universal --python-version 3.11 --upgrade --generate-hashes --no-emit-index-url --no-header
PIP := $(BIN)/python -m pip --disable-pip-version-check --require-virtualenv -q

.PHONY: help install dev run demo test test-long check bench clean lock

help: ## what can be done here
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

install: $(VENV)/installed ## make .venv with the pinned dependencies and the command .venv/bin/ladder

dev: $(VENV)/installed-dev ## the same with what tests and checks need

run: install ## start Ladder: three services in one process, with the example policy; Ctrl-C stops it
	@LADDER_POLICY="$${LADDER_POLICY-deploy/policy}" exec $(BIN)/ladder up

demo: install ## a part of a real incident log runs through a Ladder of its own, which is gone afterwards
	@$(BIN)/ladder demo

test: dev ## the test suite, without the tests that take minutes
	@$(BIN)/python -m pytest -m "not long" -n $(WORKERS)

test-long: dev ## the whole test suite
	@$(BIN)/python -m pytest -n $(WORKERS)

check: dev ## format, lint, types, imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: dev ## measure it side by side with floors, and print what came out
	@$(BIN)/python -m bench

clean: ## remove what was made here: environment, caches, the data of `make run`
	rm -rf $(VENV) .ladder .cache build dist *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: ## pin the newest versions that pyproject.toml allows, with hashes
	@$(PIP) install uv
	@$(BIN)/uv $(COMPILE) --extra embedded -o requirements.lock pyproject.toml
	@$(BIN)/uv $(COMPILE) --all-extras -o requirements-dev.lock pyproject.toml

# A stamp is newer than its lock when what the lock names is installed.
$(VENV)/installed: requirements.lock | $(BIN)/python
	@echo "Installing Ladder into $(VENV) (once) …"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(BIN)/python ladder/install_command.py
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock | $(BIN)/python
	@echo "Installing Ladder and its tools into $(VENV) (once) …"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(BIN)/python ladder/install_command.py
	@touch $@ $(VENV)/installed

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Ladder needs Python 3.11 or newer; found: $$(python3 --version 2>&1 || true). Install one, or name it: make PYTHON=/path/to/python3" >&2; \
		exit 2; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is not Python 3.11 or newer" >&2; exit 2; }
	@why=$$($(PYTHON) -m venv --clear $(VENV) 2>&1) || { rm -f $(BIN)/python; \
		echo "$(PYTHON) cannot make a virtual environment in $(CURDIR)/$(VENV):" >&2; echo "$$why" >&2; \
		case "$$why" in *"ensurepip is not available"*) echo "On Debian and Ubuntu: apt install python3-venv" >&2;; \
			*Read-only*|*"Permission denied"*) echo "Make it elsewhere: make run VENV=/A/FOLDER (and set LADDER_DATA_DIR)" >&2;; esac; \
		exit 2; }
