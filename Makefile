# The one place where commands are spelled. `make help` lists the targets.
# Everything runs in .venv, made here by the first target that needs it.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/ready
# REPORT=FILE has pytest write JUnit's XML there.
PYTEST := $(BIN)/pytest $(if $(REPORT),--junitxml=$(REPORT))
PLUGINS := $(sort $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml)))
RECIPE := recipes/msp_podcast_2025

export OMP_NUM_THREADS := 1
export HF_HUB_OFFLINE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help env wheels test-install demo recipe-tiny test test-slow test-real test-faults fuzz fuzz-guided test-plugins lint format docs bench clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16

env: $(READY) ## Make .venv with sertk, its extras and the plugins of this folder

# One call of pip, so that one resolution serves all. `-qq` hides progress and warnings, not errors.
$(READY): pyproject.toml $(PLUGINS:%=%/pyproject.toml)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq -e '.[hf,report,dev]' $(PLUGINS:%=-e ./%)
	touch $@

wheels: $(READY) ## Build the wheels of sertk and its plugins into dist/
	rm -rf dist
	$(BIN)/python -m pip wheel -qq --no-deps --no-build-isolation -w dist . $(PLUGINS:%=./%)

test-install: wheels ## Install the wheels, with all extras, on each of Python 3.11 to 3.13 that this machine has, and use them
	$(BIN)/python .ci/install.py dist

demo: $(READY) ## Train an ensemble on the made-up corpus and predict one recording
	$(BIN)/sertk run $(RECIPE)/run.sh --corpus toy
	$(BIN)/sertk predict $(RECIPE)/exp/toy/ensembles/soup "$$(find $(RECIPE)/exp/toy/corpus -name '*.wav' | sort | head -n 1)"

recipe-tiny: $(READY) ## Run all fourteen members of the recipe on tiny checkpoints, Whisper transcribing
	$(BIN)/sertk run $(RECIPE)/run.sh --corpus toy --exp $(RECIPE)/exp/tiny --preset tiny

# COVERAGE=1 measures what the tests run of sertk/, and fails below what pyproject.toml asks for.
# Every test is in one of five targets: tests/plugins, tests/faults, those on real data, the slow ones of the rest, the
# others of the rest.
test: $(READY) ## Run the tests
	$(PYTEST) -n 2 --dist worksteal --ignore=tests/faults -m 'not slow and not real' $(if $(COVERAGE),--cov --cov-report=term)

test-faults: $(READY) ## Kill, fill disks, damage files; write the fault table to faults.md
	FAULT_TABLE=faults.md $(PYTEST) -n 2 --dist worksteal tests/faults

fuzz: $(READY) ## Feed changed files to every reader for FUZZ_SECONDS (half an hour)
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),1800) $(BIN)/pytest tests/fuzz/test_readers.py

fuzz-guided: $(READY) ## The same guided by coverage, with atheris, which is installed for it
	$(BIN)/python -m pip install -qq atheris
	$(BIN)/python tests/fuzz/guided.py $(or $(FUZZ_SECONDS),1800)

test-slow: $(READY) .venv/docs .venv/ray ## Run the tests that take more than some seconds
	$(PYTEST) -n 2 --dist worksteal --ignore=tests/faults --ignore=tests/plugins -m 'slow and not real'

# Set SERTK_WEIGHTS (a folder with whisper-base and whisper-tiny.en), SERTK_CREMAD and SERTK_EMODB (with metadata.csv).
test-real: $(READY) ## Run the tests on real models and corpora, where SERTK_WEIGHTS, SERTK_CREMAD and SERTK_EMODB name them
	$(PYTEST) -rsP --show-capture=stdout -m real

test-plugins: $(READY) ## Generate, install and use a plugin of every kind; run each shipped plugin alone
	$(PYTEST) -n 2 --dist worksteal tests/plugins

# One failing check does not hide the others.
lint: $(READY) ## Check style, formatting, types and floors
	status=0; for check in 'ruff check .' 'ruff format --check .' mypy lint-imports; do $(BIN)/$$check || status=1; done; exit $$status

format: $(READY) ## Format and sort imports
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format .

docs: .venv/docs ## Build the pages into site/, strictly
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

.venv/docs .venv/ray: $(READY)
	$(BIN)/python -m pip install -qq -e '.[$(@F)]'
	touch $@

bench: $(READY) ## Run the benchmarks; each prints a table and writes JSON
	set -e; for script in benchmarks/*.py; do $(BIN)/python $$script; done

clean: ## Remove what tools leave behind, and the results of the demo
	rm -rf site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis $(RECIPE)/exp/toy
