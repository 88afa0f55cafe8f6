# `make demo` and `make test` do all the set-up on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test fuzz smoke lint audit docs clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed benchmarks/pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --editable benchmarks
	touch $@

demo: $(VENV)/.installed
	$(BIN)/unpoison demo

# A process per core: small networks gain less from two threads than tests do from two processes.
test: $(VENV)/.installed-dev lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

# Files that others may have damaged or made up, changed at random for so many minutes. The tests do a few of these.
FUZZ_MINUTES ?= 60
fuzz: $(VENV)/.installed-dev
	FUZZ_MINUTES=$(FUZZ_MINUTES) OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/fuzz

# Every table and figure, with next to no images; UNPOISON_DATA names their folder.
smoke: $(VENV)/.installed-dev
	$(BIN)/unpoison bench all --scale smoke --jobs 2 --out build/smoke

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Licences, and known vulnerabilities, of what users install. pip-audit asks PyPI; where that does not answer, this fails.
audit: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.10'
	mkdir -p build
	$(BIN)/python .ci/audit.py > build/installed.txt
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement build/installed.txt

# The site, in build/site; a warning is an error. The variable silences an advertisement of the theme's next version.
docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis unpoison-demo
