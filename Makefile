# Two commands are enough: `make start` and `make test`.
PORT ?= 8000
HOST ?= 127.0.0.1
PROJECT ?= demo_project
PYTHON ?= python3
TEST_WORKERS ?= 3
BIN := .venv/bin
# A file's tests share what it has started, so a file stays with one worker; tests/conftest.py says in which order.
PYTEST := $(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder
# Images of Python forbid bytecode; without it each process compiles all that it imports, and starts three times slower.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: start test lint dev bench chaos queries screenshots

start: .venv/.installed
	@exec $(BIN)/python manage.py start $(PROJECT) --host $(HOST) --port $(PORT)

dev: .venv/.installed-dev
	@DEBUG=true exec $(BIN)/python manage.py start $(PROJECT) --host $(HOST) --port $(PORT) --reload

test: .venv/.installed-dev
	$(PYTEST)
	TEST_DATABASE=postgres $(PYTEST)

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	ORCHESTRATOR_DATA_DIR=$$(mktemp -d) $(BIN)/python manage.py makemigrations --check --dry-run

bench: .venv/.installed-dev
	$(BIN)/python -m benchmarks

# How many queries each page needs, written anew (tests/orchestrator_site/query_baseline.json).
queries: .venv/.installed-dev
	WRITE_QUERY_BASELINE=1 $(BIN)/python -m pytest -q tests/orchestrator_site/test_queries.py

# A real installation under blows: MINUTES=30, SEED=, DATABASE=sqlite|postgres (default: both, half the time each).
chaos: .venv/.installed-dev
	$(BIN)/python -m tests.faults.chaos MINUTES=$(or $(MINUTES),30) SEED=$(SEED) DATABASE=$(DATABASE)

.venv/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

.venv/.installed: requirements.lock | .venv/bin/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	@touch $@

.venv/.installed-dev: requirements-dev.lock | .venv/bin/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.lock
	@touch $@ .venv/.installed

# Every page, light and dark, wide and narrow, into docs/screenshots/.
screenshots: .venv/.installed-dev
	$(BIN)/python -m tests.browser.screenshots
