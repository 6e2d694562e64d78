# Each target installs what it needs. Requirements: Python 3.11 or newer, pip and make.
PYTHON ?= python3
BIN = .venv/bin
# Two processes with one thread each. More threads than cores make a training step many times slower.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: help demo pictures test test-all test-extras test-browser test-slurm gpu matrix soak mutations check docs build test-wheel clean

help:
	@echo "make demo          install into .venv, train aligned-vae on dSprites for a few minutes, write a report"
	@echo "make pictures      train the demo, or resume it, and redraw the pictures of README, home page and tutorial"
	@echo "make test          install into .venv, check style and types, run the fast tests"
	@echo "make test-all      the same with the slow tests"
	@echo "make test-extras   run the tests of the optional dependencies"
	@echo "make test-browser  run the tests in headless Chromium and Firefox (Debian packages: chromium, firefox-esr)"
	@echo "make test-slurm    run studies on a Slurm that is started here (root; Debian packages: slurm-wlm, munge)"
	@echo "make gpu           run the tests that need a GPU, and measure training on it, or skip both"
	@echo "make matrix        run the fast tests on other versions of Python and with the lowest dependencies (MATRIX, TESTS)"
	@echo "make soak          kill, damage and race hundreds of commands and compare the results (about an hour; SOAK=--quick: minutes)"
	@echo "make mutations     change the sources fault by fault and check that a test fails each time (about 15 minutes)"
	@echo "make docs          build the documentation as a site in site/"
	@echo "make build         build and check the sdist and the wheel in dist/"
	@echo "make test-wheel    build, install the wheel into an empty environment and run 20 steps of the demo with it"
	@echo "make clean         remove .venv, dist, build and site"

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'Python 3.11 or newer is required: make PYTHON=python3.11'"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	touch .venv/ready

demo: .venv/ready
	@start=$$(date +%s); $(BIN)/equipoise train examples/demo.toml && echo "finished in $$(($$(date +%s) - start)) s, without installation"

pictures: .venv/ready
	$(BIN)/python benchmarks/pictures.py

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check
	$(PYTEST) -m "not slow and not extra and not browser and not slurm"

test-all: check
	$(PYTEST) -m "not extra and not browser and not slurm"

.venv/extras: .venv/ready
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev,hdf5,tables,ray,slurm,search,multi,onnx,hub,video,umap,docs,notebooks]' tensorboard
	touch .venv/extras

test-extras: .venv/extras
	$(PYTEST) -m extra

# For example: make matrix MATRIX=3.12,lowest TESTS="tests/metrics -x". Interpreters are found on PATH, else downloaded by uv.
MATRIX = 3.13,lowest
TESTS =

.venv/matrix: .venv/ready
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e '.[matrix]'
	touch .venv/matrix

matrix: .venv/matrix
	$(BIN)/tox run -e $(MATRIX) $(if $(TESTS),-- $(TESTS))

soak: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak/soak.py $(SOAK)

mutations: .venv/ready
	$(BIN)/python tests/mutations.py --jobs 2

.venv/browser: .venv/ready
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev,browser,docs]'
	touch .venv/browser

test-browser: .venv/browser
	$(PYTEST) -m browser

.venv/slurm: .venv/ready
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev,slurm]'
	touch .venv/slurm

# One process: a test has jobs for both cores.
test-slurm: .venv/slurm
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 0 -rs -m slurm tests/slurm

gpu: .venv/ready
	CUBLAS_WORKSPACE_CONFIG=:4096:8 $(BIN)/python -m pytest -rs -m gpu tests/gpu tests/training/test_resume.py
	$(BIN)/python benchmarks/gpu.py

.venv/docs: .venv/ready
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev,docs]'
	touch .venv/docs

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

build: .venv/ready
	rm -rf dist
	$(BIN)/python -m build --installer pip -q
	$(BIN)/python tests/check_distribution.py dist

test-wheel: build
	rm -rf build/wheel
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/pip install --disable-pip-version-check -q -c constraints.txt dist/*.whl
	cd build/wheel && bin/equipoise train ../../examples/demo.toml train.steps=20 evaluate.n=500 train.threads=1
	grep -q "<html" build/wheel/runs/demo/report.html

clean:
	rm -rf .venv .tox dist build site
