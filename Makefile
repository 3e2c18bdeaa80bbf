# `make demo` runs the main job, `make test` passes the tests; each sets up .venv where there is none.
PYTHON ?= python3
# PyTorch's own choices, e.g. TORCH_INDEX=https://download.pytorch.org/whl/cpu (or …/cu130)
TORCH_INDEX ?=
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Threads that spin while they wait make two busy processes many times slower than one.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help demo test test-slow check format clean

help:
	@echo "make demo       set up, train a model before your eyes, write runs/demo/report.html"
	@echo "make test       set up, run the tests that are quick (five minutes on two cores)"
	@echo "make test-slow  run the others (twenty minutes)"
	@echo "make check      ruff and mypy"
	@echo "make format     let ruff format the code"
	@echo "make clean      delete .venv, runs/demo and caches of tools (not the cached base models)"

demo: .venv/ready
	$(BIN)/interp-rc run descriptions --out runs/demo --resume
	@echo "Open runs/demo/report.html"

test: .venv/ready .venv/peers
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-slow: .venv/ready .venv/peers
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv runs/demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

# What tests and benchmarks compare with; needed for nothing else.
.venv/peers: .venv/ready requirements-peers.lock
	$(BIN)/pip install -q -r requirements-peers.lock
	touch $@

# torch comes first and alone: a later install then keeps this build instead of a larger one.
.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed; try: make PYTHON=python3.12 …"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q "$$(grep '^torch==' requirements.lock)" \
		$(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	$(BIN)/pip install -q -r requirements.lock
	$(BIN)/pip install -q --no-deps -e .
	touch $@
