# `make demo` and `make test` are all a newcomer needs: Python 3.11+, git and make.

PYTHON ?= python3
UPGRADE ?= --upgrade
BIN := .venv/bin
STAMP := .venv/.installed
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format lock clean

help:  ## Show this list.
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(STAMP)  ## Make .venv from the hashed lock.

# uv comes into the environment at the locked version, so a system pip that refuses to install is never asked.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make setup PYTHON=/path/to/python3.12"; exit 2; }
	$(PYTHON) -m venv .venv || { echo "venv is missing: on Debian install python3-venv"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[0-9.]+' requirements.lock)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: setup  ## Simulate a CRM and do the whole job on it, in demo/.
	$(BIN)/leads demo demo

check: setup  ## Lint, format and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check  ## Everything that must hold: check, then all tests and doctests.
	$(BIN)/python -m pytest -n auto --dist loadscope

format: setup  ## Let ruff mend what it can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup  ## Write requirements.lock anew: hashes, no index address. UPGRADE= keeps what is locked.
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --extra dev \
		--python-version 3.11 --custom-compile-command "make lock" $(UPGRADE) pyproject.toml -o requirements.lock

clean:  ## Remove the environment, the demo and caches.
	rm -rf .venv demo .mypy_cache .ruff_cache .pytest_cache build *.egg-info
