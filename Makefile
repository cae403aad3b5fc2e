# `make help` lists the targets. Only Python 3.11 to 3.13, git and make are needed beforehand.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH := .venv-bench
BENCH_STAMP := $(BENCH)/.installed
LAB := .venv-lab
LAB_STAMP := $(LAB)/.installed
OIP := .venv-oip
OIP_STAMP := $(OIP)/.installed
JUDGE := .venv-judge
JUDGE_STAMP := $(JUDGE)/.installed
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip --quiet

# The first interpreter of a supported version that can make a virtual environment; PYTHON=... overrides it.
CANDIDATES := python3.12 python3.13 python3.11 python3 python
PROBE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# The rules in the form that a wheel carries; while a rule or the engine is being edited they are read from YAML.
AS_IN_A_WHEEL = $(BIN)/trainwarden rules compile >/dev/null &&

# The build for processors where the index has one; TORCH=torch==2.13.0 takes the build for GPUs.
TORCH := torch==2.13.0+cpu

.PHONY: help env env-lab env-oip env-judge demo test test-lab check bench lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

env: $(STAMP) ## create .venv with everything for development, from the pinned lock

$(BIN)/python:
	@python=$(PYTHON); \
	if [ -z "$$python" ]; then \
	  for name in $(CANDIDATES); do \
	    if "$$name" -c '$(PROBE)' >/dev/null 2>&1; then python=$$name; break; fi; \
	  done; \
	fi; \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.11 to 3.13 with venv and ensurepip found (Debian: apt install python3-venv)." >&2; exit 1; \
	fi; \
	"$$python" -m venv $(VENV)

$(STAMP): requirements/dev.lock pyproject.toml setup.py | $(BIN)/python
	@echo "Installing the development environment into $(VENV) ..."
	@$(PIP) install --require-hashes --requirement requirements/dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/trainwarden rules compile >/dev/null
	@touch $@

env-lab: $(LAB_STAMP) ## create .venv-lab, in which the classifier is trained and exported (PyTorch)

$(LAB_STAMP): requirements/lab.lock pyproject.toml setup.py | $(BIN)/python
	@echo "Installing the lab into $(LAB) ..."
	@$(BIN)/python -m venv $(LAB)
	@$(LAB)/bin/python -m pip --quiet install --require-hashes --requirement requirements/lab.lock
	@$(LAB)/bin/python -m pip --quiet install '$(TORCH)' 2>/dev/null || \
	  $(LAB)/bin/python -m pip --quiet install '$(firstword $(subst +, ,$(TORCH)))'
	@$(LAB)/bin/python -m pip --quiet install --no-deps --no-build-isolation --editable .
	@touch $@

env-oip: $(OIP_STAMP) ## create .venv-oip, a server of the Open Inference Protocol for the tests of scoring

$(OIP_STAMP): requirements/oip.lock | $(BIN)/python
	@echo "Installing the inference server into $(OIP) ..."
	@$(BIN)/python -m venv $(OIP)
	@$(OIP)/bin/python -m pip --quiet install --require-hashes --requirement requirements/oip.lock
	@touch $@

env-judge: $(JUDGE_STAMP) ## create .venv-judge, a language model's server for the tests of the second opinion

$(JUDGE_STAMP): requirements/judge.lock | $(BIN)/python
	@echo "Installing the language model's server into $(JUDGE) ..."
	@$(BIN)/python -m venv $(JUDGE)
	@$(JUDGE)/bin/python -m pip --quiet install --require-hashes --requirement requirements/judge.lock
	@touch $@

demo: env ## review a small training repository: twelve acts of sabotage and ten honest changes
	@$(AS_IN_A_WHEEL) PYTHONPATH=tests $(BIN)/python -m demo

test: env ## run the tests
	@$(BIN)/python -m pytest

test-lab: env-lab ## run the tests of the lab, those that need PyTorch included
	@$(LAB)/bin/python -m pytest tests/lab

defences: env ## remove each defence of the App, one at a time, and expect a test to notice (ARGS="--only NAME")
	@$(BIN)/python tests/github/defences.py $(ARGS)

check: env ## the gate: format, lint, types, imports, rules, generated pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	MYPYPATH=bot:tests:benchmarks:tests/github $(BIN)/mypy tests/demo/*.py benchmarks/*.py
	$(BIN)/lint-imports
	$(BIN)/trainwarden rules check
	$(BIN)/trainwarden rules test
	$(BIN)/trainwarden docs check

bench: env $(BENCH_STAMP) ## measure speed and memory, beside bandit and semgrep (ARGS="--repo DIR --commits N")
	@$(AS_IN_A_WHEEL) $(BIN)/python benchmarks/bench.py --peers $(BENCH)/bin $(ARGS)

$(BENCH_STAMP): requirements/bench.lock | $(BIN)/python
	@$(BIN)/python -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip --quiet install --require-hashes --requirement requirements/bench.lock
	@touch $@

lock: ## resolve pyproject.toml into requirements/*.lock again (needs uv)
	@for name in run app build dev lab oip judge bench; do \
	  case $$name in \
	    run) from=pyproject.toml ;; \
	    app) from="pyproject.toml --extra app --extra model --extra remote" ;; \
	    dev) from="pyproject.toml --extra app --extra model --extra remote --extra dev" ;; \
	    lab) from="pyproject.toml --extra lab-tools requirements/lab.in" ;; \
	    build | oip | judge | bench) from=requirements/$$name.in ;; \
	  esac; \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command "make lock" --output-file requirements/$$name.lock $$from; \
	done

clean: ## remove environments, caches and build output
	rm -rf $(VENV) $(BENCH) $(LAB) $(OIP) $(JUDGE) .demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf bot/*.egg-info rules/compiled.json
	find bot tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
