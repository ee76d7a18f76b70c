# Kapok. `make demo` and `make test` make the environment by themselves, from the lock files:
# nothing else is needed than Python 3.11 or later, make, and a package index that pip can reach.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
# Many tests wait for processes: twice as many at once as there are cores to be expected.
TESTS_AT_ONCE ?= 4
# Hundreds of processes are started: each would compile all of Kapok again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help env demo bench test test-slow simulate fuzz coverage lint types contracts check format gen lock clean

help:           ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Kapok needs Python 3.11 or later; say: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

# The locks carry hashes and no index address; pip's own settings say where packages come from.
$(VENV)/run.stamp: $(BIN)/python requirements/run.lock pyproject.toml
	$(PIP) install -q --require-hashes -r requirements/run.lock
	$(PIP) install -q --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.lock
	$(PIP) install -q --require-hashes -r requirements/dev.lock
	@touch $@

env: $(VENV)/run.stamp  ## Only make the environment: then `. .venv/bin/activate`

demo: $(VENV)/run.stamp  ## An authority, a broker and four hospitals on this machine answer an analyst's questions
	@$(BIN)/kapok demo $(ARGS)

# On top of what the demonstration needs: the libraries that Kapok is measured against. Compilers are not needed.
$(VENV)/bench.stamp: $(VENV)/run.stamp requirements/bench.lock
	$(PIP) install -q --require-hashes -r requirements/bench.lock
	@touch $@

bench: $(VENV)/bench.stamp  ## Measure this machine, in minutes; `make bench ARGS="--suite core"` for less
	$(BIN)/python -m benchmarks --short $(ARGS)

test: check  ## Lint, types, import contracts, generated code, then every test but the slow sweeps
	$(BIN)/python -m pytest -n $(TESTS_AT_ONCE) --dist loadfile --no-loadscope-reorder $(ARGS)

test-slow: $(VENV)/dev.stamp  ## The long sweeps: more seeds, more examples, larger sizes
	$(BIN)/python -m pytest -n 2 -m slow $(ARGS)

$(VENV)/fuzz.stamp: $(VENV)/run.stamp requirements/fuzz.lock
	$(PIP) install -q --require-hashes -r requirements/fuzz.lock
	@touch $@

fuzz: $(VENV)/fuzz.stamp  ## What reads others' bytes, under atheris, for SECONDS=60 together; ARGS="question token" for some
	$(BIN)/python tests/fuzz/drive.py --seconds $(or $(SECONDS),60) $(ARGS)

simulate: $(VENV)/dev.stamp  ## Play a seed of the whole-system simulation again (SEEDS=17), or many (SEEDS=0:5000)
	$(BIN)/python tests/tools/simulate.py $(or $(SEEDS),0:100) $(ARGS)

coverage: $(VENV)/dev.stamp  ## Which lines and branches of protocols/ its own tests reach
	$(BIN)/python -m pytest -n 2 --cov=kapok.protocols tests/unit/protocols $(addprefix tests/properties/test_,words_properties.py packing_properties.py secure_sum_properties.py) $(ARGS)

check: lint types contracts  ## Everything that reads the code without running it

lint: $(VENV)/dev.stamp  ## Style, docstrings, security rules, sizes; generated code is what proto/ says
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/tools/sizes.py
	$(BIN)/python tests/tools/generate_wire.py --check
	$(BIN)/python tests/tools/state_diagrams.py --check

types: $(VENV)/dev.stamp  ## mypy, strict, over the four source roots and the benchmarks
	$(BIN)/mypy sdk protocols broker nodes benchmarks

contracts: $(VENV)/dev.stamp  ## Who may import whom: a breach of the privacy claim fails here
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp  ## Bring the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

gen: $(VENV)/dev.stamp  ## Make sdk/kapok/wire/v1 from proto/, and the state diagrams from their tables
	$(BIN)/python tests/tools/generate_wire.py
	$(BIN)/python tests/tools/state_diagrams.py

lock: $(VENV)/dev.stamp  ## Make the lock files from pyproject.toml (needs `pip install uv` in the environment)
	$(BIN)/uv pip compile -q pyproject.toml --extra all --group build --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header -o requirements/run.lock
	$(BIN)/uv pip compile -q pyproject.toml --extra all --group dev --constraints requirements/run.lock --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header -o requirements/dev.lock
	$(BIN)/uv pip compile -q pyproject.toml --extra all --group bench --constraints requirements/dev.lock --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header -o requirements/bench.lock
	$(BIN)/uv pip compile -q pyproject.toml --extra all --group fuzz --constraints requirements/dev.lock --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header -o requirements/fuzz.lock

clean:          ## Remove the environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
