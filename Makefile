#   make demo                 gateway, receiver, shards and journal, verified
#   make demo DEMO="--agents 500 --rate max --seconds 10"
#   make soak                 thirty minutes of faults, kills, commands and readers, verified
#   make lives                200 runtimes killed whole, in both dialects, verified (half an hour)
#   make canaries             a demo for each cure of the platform's oddities, with that cure off
#   make test                 make check, then all tests
#   make check                format, lint, types, tidiness
#   make bench                all benchmarks (some 22 minutes), then benchmarks/results/report.md
#   make bench BENCH="ring --seconds 5"
#   make build                only .venv and what the runtime needs
#   make fuzz                 coverage-guided fuzzing, ten minutes for each target
#   make requirements         the files of requirements/, anew from pyproject.toml
#   make clean                removes what all of these have made here
#
# Each makes what it needs, in .venv; a second call does only what has changed.
# Python 3.11 to 3.14. PYTHON=/path/to/python3.12 where another is to be used than is found.

DEMO ?=
SOAK ?= --minutes 30
LIVES ?= --agents 1000 --rate 500 --kill-all-every 4 --seconds 760
BENCH ?= all
FUZZ ?=
UPGRADE ?=
UV := 0.13.9

BIN := .venv/bin
# Errors only: what a build backend says to packagers is 45 lines of nobody's concern here.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
# Two modules are compiled from their Python: an old .so would go before a new source.
COMPILED := actors/shard/agent_table.py actors/shard/event_run.py
EXTENSIONS := $(shell find runtime actors tools -name '*.pyx' -o -name '*.pxd') $(COMPILED)
export PYTHON
# Charts are drawn here; without this their library would write to the home directory.
export MPLCONFIGDIR := $(CURDIR)/.venv/.matplotlib

.DELETE_ON_ERROR:
.PHONY: help demo soak lives canaries test for-tests check bench build requirements fuzz clean
# What is missing on the machine: the tests may install it, a demo only says so.
test check bench soak lives canaries: MACHINE := install

help:
	@sed -n -e '/^$$/q' -e 's/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

demo: .venv/.built
	@$(BIN)/presence-runtime demo $(DEMO)

soak: .venv/.tools
	@$(BIN)/python -m benchmarks soak $(SOAK) --json benchmarks/results/soak.json

lives: .venv/.built
	@$(BIN)/presence-runtime demo --dialect wsp $(LIVES)
	@$(BIN)/presence-runtime demo --dialect cloud $(LIVES)

canaries: .venv/.tools
	@$(BIN)/python -m tests.platform_canaries

test: for-tests check
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# Looked at each time: the machine may have lost it, or the first call had no right to install it.
for-tests: .venv/.made
	@sh tools/machine.sh tests $(BIN)

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

.venv/.made: tools/machine.sh
	@python=$$(sh tools/machine.sh $(MACHINE)) && echo "making .venv with $$python" && \
	  "$$python" -m venv --clear .venv
	@touch $@

# From scratch: an extension built against yesterday's header file crashes today.
.venv/.built: .venv/.made pyproject.toml setup.py requirements/build.txt requirements/runtime.txt $(EXTENSIONS)
	@echo "installing what the runtime needs and building its extensions (about a minute, 130 MB)"
	@rm -rf build && find runtime actors tools -name '*.so' -delete
	@$(PIP) install --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.tools: .venv/.built requirements/dev.txt
	@echo "installing what tests, checks and benchmarks need (about a minute, 650 MB)"
	@$(PIP) install --require-hashes --no-build-isolation -r requirements/dev.txt
	@touch $@

# Versions that are there already stay, unless UPGRADE=--upgrade.
requirements: .venv/.made
	@$(PIP) install uv==$(UV)
	@for each in "runtime pyproject.toml" "build requirements/build.in" "dev pyproject.toml --group dev"; do \
	  set -- $$each; name=$$1; shift; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --custom-compile-command "make requirements" $(UPGRADE) -o requirements/$$name.txt "$$@" || exit 1; \
	done

# Atheris has wheels for 3.11 to 3.13. FUZZ="--target frames --seconds 60" for one, and a minute.
fuzz: .venv/.tools
	@$(PIP) install --require-hashes -r requirements/fuzz.txt
	@$(BIN)/python -m tests.fuzzing $(FUZZ)
