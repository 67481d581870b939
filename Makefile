# Everything starts here: `make smoke` and `make test` need Python 3.11 or newer and a package registry.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Processes of `make test`. Each imports torch and the like for itself, so that more than one pays on idle cores only.
# test-all has one unless ARGS says otherwise: its slow tests start ranks of their own.
WORKERS ?= 0

export HF_HUB_OFFLINE = 1
export DS_BUILD_OPS = 0

.PHONY: help setup smoke test test-all test-ecosystem lint format docs clean

help:  ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP)  ## Create .venv and install pinned requirements and the package

# An environment works in one place: in a folder that was moved or copied it is made anew.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(shell cd $(VENV) 2>/dev/null && pwd -P))
.PHONY: $(STAMP)
endif

$(STAMP): pyproject.toml constraints.txt
	@"$(PYTHON)" tools/install.py $(VENV)

smoke: $(STAMP)  ## Run the whole chain at smoke scale: raw pages to a chat model
	@$(BIN)/fivephase run scale=smoke $(ARGS)

test: $(STAMP)  ## Run the fast tests; WORKERS=2 divides them between two processes
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m 'not slow and not gpu and not slurm' $(ARGS)

test-all: $(STAMP)  ## Run all tests that this machine can run
	$(BIN)/python -m pytest $(ARGS)

# Takes gigabytes and, the first time, an hour; the environments stay in .ecosystem. RELEASE is any released folder.
RELEASE ?= runs/smoke/release/model
test-ecosystem: $(STAMP)  ## Load a released folder in transformers 4 and 5, llama.cpp, MLX, vLLM and lm_eval, and compare
	$(BIN)/python -m tests.ecosystem.run $(RELEASE) $(ARGS)

lint: $(STAMP)  ## Check style, format, types and the order of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/shellcheck launch/*.sh launch/*.sbatch tests/launch/*.sh .ci/run fivephase

format: $(STAMP)  ## Format and sort imports
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(STAMP)  ## Build the docs site in build/docs/site
	$(BIN)/python -m pip install -q -c constraints.txt --no-build-isolation -e '.[docs]'
	$(BIN)/python -m tools.site_pages
	$(BIN)/mkdocs build -q --strict -f build/docs/mkdocs.yml
	@echo "build/docs/site/index.html"

clean:  ## Remove build/, dist/, *.egg-info and the caches of tools; runs/ and .venv stay
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
