# From a bare Debian or Ubuntu with git and make to a trained and tested FCN:
#   make demo    sets up and runs the paper in miniature
#   make test    sets up and runs the tests (five minutes on two cores)
#   make lint    checks style, format and types
#   make test-all     runs the long tests as well, such as all nets of the table
#   make bench   measures the engine against other libraries on this CPU (twenty minutes)
#   make image-test   builds the image and works in it
#   make gpu-check    checks and measures the GPU path, where a GPU is
# CUDA=1 with any of them builds the engine for the GPU as well, once; CUDA=0 goes back.
# The virtual environment is one of /usr/bin/python3, because the distribution's Boost.Python is built
# for that Python.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
# Twice quiet: errors alone.
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check install
ENGINE := $(wildcard pycaffe/*.* pycaffe/cuda/*.* pycaffe/onednn/*.*)
export CUDA ?= $(if $(wildcard $(VENV)/.engine-cuda),1,0)
BUILT := $(VENV)/.engine$(if $(filter 1,$(CUDA)),-cuda)

.PHONY: setup demo test test-all bench lint image-test gpu-check clean
.DELETE_ON_ERROR:

setup: $(VENV)/.project
	@:

demo: setup
	@$(BIN)/python -m miniature

# One process per core, with one thread each; a test whose point is threads sets its own number.
# Large pages halve the time that the nets' gigabytes take to be mapped.
WORKERS ?= $(shell cores=$$(nproc); echo $$((cores < 8 ? cores : 8)))
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 GLIBC_TUNABLES=glibc.malloc.hugetlb=1 \
  $(BIN)/python -m pytest --numprocesses $(WORKERS)

test: setup
	@$(PYTEST) -m 'not slow'

test-all: setup
	@$(PYTEST)

# What the engine is measured against has an environment of its own. The page names what cannot be had.
PEERS := build/bench-venv

$(PEERS)/.installed: benchmarks/requirements.txt
	@/usr/bin/python3 -m venv $(PEERS)
	@grep -v '^#' $< | while read -r name; do \
	  echo "setup: $$name, to measure against"; \
	  $(PEERS)/bin/python -m pip --quiet --quiet --disable-pip-version-check install "$$name" || \
	    echo "setup: $$name cannot be had"; \
	done
	@touch $@

bench: setup $(PEERS)/.installed
	@$(BIN)/python -m benchmarks

lint: setup
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy fcn

image-test:
	@tests/image_test.sh

# PyTorch, to measure against, is large: it is fetched only where there is something to measure.
gpu-check: setup
	@if command -v nvidia-smi >/dev/null; then $(PIP) torch; fi
	@$(BIN)/python -m benchmarks.gpu

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each step of the set-up leaves a stamp and is done again when what it reads changes.
# apt's words go to a log that is shown if it fails.
$(VENV)/.packages: pycaffe/apt-packages.txt
	@mkdir -p $(VENV)
	@missing=; \
	if command -v apt-get >/dev/null; then \
	  for name in $$(cat $<); do \
	    dpkg-query -W -f '$${db:Status-Status}' $$name 2>/dev/null | grep -qx installed || missing+=" $$name"; \
	  done; \
	else \
	  echo "setup: no apt-get here: install the equivalents of$$(tr '\n' ' ' <$< | sed 's/^/ /') by hand"; \
	fi; \
	if [ -n "$$missing" ]; then \
	  echo "setup: installing$$missing"; \
	  log=$$(mktemp); \
	  { $(SUDO) apt-get --quiet update && \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get --quiet install --yes --no-install-recommends $$missing; \
	  } >"$$log" 2>&1 </dev/null || { cat "$$log" >&2; exit 1; }; \
	  rm -f "$$log"; \
	fi
	@touch $@

$(VENV)/.python: $(VENV)/.packages
	@test -x $(BIN)/python || /usr/bin/python3 -m venv $(VENV)
	@touch $@

$(BUILT): $(VENV)/.python $(ENGINE)
	@echo "setup: the engine, BVLC Caffe (two minutes on two cores; seconds if built before)"
	@SECONDS=0; $(PIP) ./pycaffe; echo "setup: the engine took $$SECONDS s"
	@rm -f $(VENV)/.engine*
	@touch $@

$(VENV)/.project: $(BUILT) pyproject.toml setup.cfg
	@echo "setup: the project and what it is tested with"
	@$(PIP) --editable '.[test,serve,tensorboard]'
	@touch $@
