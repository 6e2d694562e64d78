# One target sets up what it needs; nothing but Python 3.11 or newer, pip and make has to be there.
PYTHON ?= python3
BIN = .venv/bin
# Two processes of one thread each: more threads than cores make a training step many times slower.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: help demo test test-all test-extras test-browser check docs build clean

help:
	@echo "make demo          set up, train L-VAE on dSprites for a few minutes, write a report"
	@echo "make test          set up, pass style, types and the tests of the core"
	@echo "make test-all      the slow tests too"
	@echo "make test-extras   tests of optional parts"
	@echo "make test-browser  tests in headless Chromium (Debian's package chromium)"
	@echo "make docs          the documentation as a site in site/"
	@echo "make build         sdist and wheel in dist/, checked"

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'Python 3.11 or newer is needed: make PYTHON=python3.11'"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	touch .venv/ready

demo: .venv/ready
	@start=$$(date +%s); $(BIN)/equipoise train examples/demo.toml && echo "in $$(($$(date +%s) - start)) s, set-up not counted"

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check
	$(PYTEST) -m "not slow and not extra and not browser"

test-all: check
	$(PYTEST) -m "not extra and not browser"

.venv/extras: .venv/ready
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev,hdf5,tables,ray,slurm,search,multi,onnx,hub,docs]' tensorboard
	touch .venv/extras

test-extras: .venv/extras
	$(PYTEST) -m extra

.venv/browser: .venv/ready
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev,browser]'
	touch .venv/browser

test-browser: .venv/browser
	$(PYTEST) -m browser

.venv/docs: .venv/ready
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev,docs]'
	touch .venv/docs

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

build: .venv/ready
	rm -rf dist
	$(BIN)/python -m build --installer pip -q
	$(BIN)/python tests/check_distribution.py dist

clean:
	rm -rf .venv dist build site
