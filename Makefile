# The two commands: `make check` (is the working tree slower than its base?) and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help check check-modules check-scenarios performance report test lint types imports unit tests-within tests-around coverage format docs lock clean .venv

help: ## Show what there is
	@grep -hE '^[a-z.]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

check: .venv ## Compare the working tree with its base: is it slower, and how sure is that?
	@$(MAKE) --no-print-directory --keep-going check-modules check-scenarios

check-modules: .venv
	@$(BIN)/groundspeed check $(ARGS)

check-scenarios: .venv
	@$(BIN)/groundspeed check --suite pytest $(ARGS) -- tests/performance -m quick -p no:schemathesis

performance: .venv ## Run the performance suite and keep its figures in results/pytest
	@$(BIN)/python -m pytest tests/performance --benchmark-autosave

test: lint types imports unit ## Run every test and check

.venv: $(READY) ## Set up the environment in .venv/ (skipped when nothing changed)

# The stamp is written last, so an interrupted set-up is done again.
$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "groundspeed needs Python 3.11 or newer, but $(PYTHON) is %d.%d; run: make PYTHON=python3.12 $(MAKECMDGOALS)" % v[:2])'
	@if command -v uv >/dev/null 2>&1; then \
	    uv venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV) && \
	    uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
	    uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . ; \
	else \
	    $(PYTHON) -m venv --clear $(VENV) && \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $(READY)

lint: .venv
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv
	@$(BIN)/mypy

imports: .venv
	@PYTHONPATH=. $(BIN)/lint-imports

# Side by side: the one half computes, the other mostly waits for servers and processes.
unit: .venv
	@$(MAKE) --no-print-directory -j 2 tests-within tests-around

tests-within: .venv
	@$(BIN)/python -m pytest tests/unit tests/property tests/contract tests/statistical tests/docs

tests-around: .venv
	@$(BIN)/python -m pytest tests/integration

report: .venv ## Write the performance report from the stored runs of the performance suite
	@$(BIN)/python -m tools.performance_report

coverage: .venv ## Run every test and show the lines and branches that none reaches
	@$(BIN)/coverage run -m pytest --ignore=tests/performance
	@$(BIN)/coverage report

format: .venv ## Format the code and mend what can be mended by machine
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: .venv ## Build the documentation into docs/_build (first: .venv/bin/python -m pip install -e '.[docs]')
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going docs docs/_build

lock: ## Write requirements.lock anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes \
	    --no-emit-index-url --no-header --no-annotate --output-file requirements.lock pyproject.toml

clean: ## Remove the environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .asv
