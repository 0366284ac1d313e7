# Every target makes .venv and builds what it needs; a second call does only what has changed.
#
#   make demo                 gateway, receiver, shards and journal, verified
#   make demo DEMO="--agents 500 --rate max --seconds 10"
#   make soak                 thirty minutes of faults, kills, commands and readers, verified
#   make test                 make check, then all tests
#   make check                format, lint, types, tidiness
#   make bench                all benchmarks (some 22 minutes), then benchmarks/results/report.md
#   make bench BENCH="ring --seconds 5"
#   make build                only .venv and what the runtime needs
#   make clean
#
# PYTHON=/path/to/python3.11 where the one to use is not found by itself.

DEMO ?=
SOAK ?= --minutes 30
BENCH ?= all

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Two modules are compiled from their Python: an old .so would go before a new source.
COMPILED := actors/state/holding.py actors/state/event_run.py
EXTENSIONS := $(shell find runtime actors tools -name '*.pyx' -o -name '*.pxd') $(COMPILED)
export PYTHON

.DELETE_ON_ERROR:
.PHONY: demo soak test check bench build clean
# What is missing on the machine: the tests may install it, a demo only says so.
test check bench soak: MACHINE := install

demo: .venv/.built
	@$(BIN)/python -m runtime demo $(DEMO)

soak: .venv/.tools
	@$(BIN)/python -m benchmarks soak $(SOAK) --json benchmarks/results/soak.json

test: check
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

check: .venv/.tools
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_tidy.py

bench: .venv/.tools
	@$(BIN)/python -m benchmarks $(BENCH)

build: .venv/.built

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f $(patsubst %.pyx,%.c,$(filter %.pyx,$(EXTENSIONS))) $(COMPILED:.py=.c)
	find runtime actors tools -name '*.so' -delete
	find runtime actors tools benchmarks tests -name __pycache__ -prune -exec rm -rf {} +

# Dependency groups need pip 25.1; Debian 12 brings 23.0.
.venv/.made: tools/machine.sh
	@python=$$(sh tools/machine.sh $(MACHINE)) && echo "making .venv with $$python" && \
	  "$$python" -m venv --clear .venv
	@$(PIP) install --upgrade pip
	@touch $@

# From scratch: an extension built against yesterday's header file crashes today.
.venv/.built: .venv/.made pyproject.toml $(EXTENSIONS)
	@echo "installing what the runtime needs and building its extensions"
	@rm -rf build && find runtime actors tools -name '*.so' -delete
	@$(PIP) install --editable .
	@touch $@

.venv/.tools: .venv/.built
	@echo "installing what tests, checks and benchmarks need"
	@$(PIP) install --group dev
	@touch $@
