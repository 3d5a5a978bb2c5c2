# Two commands to know: `make up` serves a real model, `make test` runs every test. `make help` lists the rest.

VENV ?= .venv
# The first Python that is new enough; `make PYTHON=/path/to/python3.12 …` takes another.
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
BIN := $(VENV)/bin
# Where Python may not keep what it compiled, each of the hundreds of processes that tests start compiles Argosy anew.
unexport PYTHONDONTWRITEBYTECODE
# Two processes run tests; who has none left takes over half of what the other one has left. More would only be late.
BOTH := -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup up test test-clients test-engines test-fastchat test-web check fuzz bench docs web screenshots
.SUFFIXES:

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do \
		printf 'make %-12s %s\n' "$$target" "$$text"; done

setup: $(VENV)/.for-work  ## make .venv with Argosy, its engines and the tools for working on it

up: $(VENV)/.for-use  ## serve the demonstration model twice on 127.0.0.1:8000; Ctrl-C stops all
	@exec $(BIN)/argosy up examples/demo.yaml

test: setup  ## every test, with real processes and the real model
	@exec $(BIN)/pytest $(BOTH)

test-clients: $(VENV)-clients/.for-clients  ## other people's clients against the door, with a real model (491 MB, fetched once)
	@exec $(VENV)-clients/bin/pytest tests/clients -W default -o asyncio_default_test_loop_scope=session

web: web/node_modules/.for-work  ## build the page from web/ (npm) into src/argosy/web/dist
	@cd web && npm run --silent check && exec npm run --silent build

test-web: setup web  ## the page: its pure parts, then all of it in chromium, with the figures of its documentation
	@cd web && npm run --silent test
	@ARGOSY_WEB_TESTS=all exec $(BIN)/pytest -s tests/browser

screenshots: setup web  ## the pictures of the READMEs, taken of a real fleet
	@exec $(BIN)/python docs/images/take.py
test-engines: setup  ## vLLM and transformers for real, each in an environment of its own (4.7 GB, built once, about 10 minutes)
	@exec env ARGOSY_TEST_ENGINES=build $(BIN)/pytest tests/environments

test-fastchat: setup  ## the real FastChat 0.2.36 beside Argosy: its pieces, then tokens/s (2 GB in the cache, made once)
	@$(BIN)/pytest tests/fastchat
	@exec $(BIN)/python benchmarks/fastchat.py

check: setup  ## what to run before every commit: style, types, quick tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@exec $(BIN)/pytest $(BOTH) tests/unit tests/gateway tests/fuzz/test_kept.py

fuzz: setup  ## bad input and bad engines at a live gateway; ARGOSY_FUZZ_SECONDS=3600 for an hour of inputs never drawn before
	@exec $(BIN)/pytest -s tests/fuzz

bench: setup  ## every figure that the documentation quotes, measured again
	@exec $(BIN)/python benchmarks/run.py

docs: $(VENV)/.for-docs  ## the documentation as a site, in build/site; pages that are generated are made anew
	$(BIN)/python docs/reference/generate.py
	@exec $(BIN)/mkdocs build --strict

# A stamp is newer than pyproject.toml once what that asks for is installed: the second `make up` starts at once.
$(VENV)/.for-use: pyproject.toml | $(BIN)/pip
	@echo 'Installing Argosy and llama.cpp into $(VENV) …'
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[llamacpp]'
	@touch $@

$(VENV)/.for-work: pyproject.toml | $(BIN)/pip
	@echo 'Installing Argosy, llama.cpp and the tools for working on it into $(VENV) …'
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[llamacpp,dev]'
	@touch $@ $(VENV)/.for-use

$(VENV)/.for-docs: pyproject.toml | $(BIN)/pip
	@echo 'Installing Argosy and mkdocs into $(VENV) …'
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

web/node_modules/.for-work: web/package-lock.json
	@echo 'Installing what the page is built with into web/node_modules …'
	@cd web && npm ci --silent --no-audit --no-fund
	@touch $@

$(VENV)-clients/.for-clients: pyproject.toml
	@echo 'Installing Argosy, llama.cpp and the clients into $(VENV)-clients …'
	@$(MAKE) --no-print-directory VENV=$(VENV)-clients $(VENV)-clients/bin/pip
	@$(VENV)-clients/bin/pip install --quiet --disable-pip-version-check --editable '.[llamacpp,clients]'
	@PATH="$(CURDIR)/$(VENV)-clients/bin:$$PATH" npm install --silent --no-audit --no-fund --prefix $(VENV)-clients openai@7
	@touch $@

$(BIN)/pip:
	@test -n '$(PYTHON)' || { echo 'Argosy needs Python 3.11 or newer; install it, or name it: make PYTHON=…' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo 'Making $(VENV) failed; on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
