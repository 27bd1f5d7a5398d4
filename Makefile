# make run    serve the app on http://localhost:8501
# make test   every test, the browser's too
# make bench  the measurements of benchmarks/
# make lint   style
#
# Each sets up what it needs in .venv, and is quick when nothing changed.

PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
APP := $(VENV)/.app
DEVELOPMENT := $(VENV)/.development

.DEFAULT_GOAL := run
.PHONY: run test bench lint chromium

run: $(APP)
	$(BIN)/python -m aio.ui --server.port $(PORT)

# Tests share the cores, but for those that count draws a second: they have them alone.
test: $(DEVELOPMENT) chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not e2e" --numprocesses 2
	$(BIN)/python -m pytest -m "e2e and not alone" --numprocesses 2 --dist loadfile
	$(BIN)/python -m pytest -m alone

bench: $(DEVELOPMENT) chromium
	$(BIN)/python -m benchmarks

lint: $(DEVELOPMENT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(APP): requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(DEVELOPMENT): requirements-test.txt $(APP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	@touch $@

# Debian's chromium, where apt is there; elsewhere the tests say what is missing.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	  || [ -n "$$CHROMIUM" ] || ! command -v apt-get >/dev/null \
	  || { AS_ROOT=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	       $$AS_ROOT apt-get update -qq && $$AS_ROOT apt-get install -y -qq chromium >/dev/null; }
