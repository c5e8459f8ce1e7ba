# `make` alone lists what there is. Every target makes .venv itself; nothing has to be installed first but Python 3.11
# or later and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

# cpu and gpu both provide the module `onnxruntime`: exactly one of them may be installed.
RUNTIME := $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)
OTHER_RUNTIME_cpu := onnxruntime-gpu
OTHER_RUNTIME_gpu := onnxruntime

# The demo does without the dev extra (HyperSpy, a browser driver, checkers): its first run downloads less and can fail
# in fewer ways. Tests and checks want everything.
DEMO_READY := $(VENV)/.ready-demo-$(RUNTIME)
ALL_READY := $(VENV)/.ready-all-$(RUNTIME)

# pip reads these for the packages and for what builds ours.
INSTALL := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
	$(BIN)/python -m pip install --quiet

export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help setup demo check lint test test-slow soak bench clean
.DELETE_ON_ERROR:

help:
	@echo "make demo       simulate, train, export, serve, stream: the whole flow, in your browser"
	@echo "make test       the tests (the page's need chromium)"
	@echo "make setup      .venv with everything: cpu or gpu, training, dectris, dev"
	@echo "make check      linters, types, import directions, then the tests: what CI runs"
	@echo "make test-slow  the tests that take minutes"
	@echo "make soak       scan after scan under everything that goes wrong, MINUTES=10 of it"
	@echo "make bench      spectra per second and time to train, measured here"
	@echo "make clean      remove .venv and caches; data and models stay"

setup: $(ALL_READY)

demo: $(DEMO_READY)
	$(BIN)/eelswatch demo $(DEMO)

check: lint test

lint: $(ALL_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# Two tests at a time, each with one thread for its sums: most wait for a process of their own to start or to answer.
test: $(ALL_READY) .chromium-told
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(TESTS)

test-slow: $(ALL_READY) .chromium-told
	$(BIN)/python -m pytest -m slow --timeout 3600 $(TESTS)

soak: $(ALL_READY)
	EELSWATCH_SOAK_MINUTES=$(or $(MINUTES),10) $(BIN)/python -m pytest -m soak -rP

bench: $(DEMO_READY)
	$(BIN)/eelswatch bench score
	$(BIN)/eelswatch bench stream
	$(BIN)/eelswatch bench train

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find monitor training export dashboard tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(DEMO_READY): EXTRAS := $(RUNTIME),training
$(ALL_READY): EXTRAS := $(RUNTIME),training,dectris,dev
$(DEMO_READY) $(ALL_READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python found; wanted 3.11 or later, e.g. make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is too old; wanted 3.11 or later, e.g. make PYTHON=/path/to/python3.11"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
		{ echo "no virtual environment could be made; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "installing eelswatch[$(EXTRAS)] into $(VENV) (minutes the first time: PyTorch is large)"
	@$(BIN)/python -m pip uninstall --quiet --yes $(OTHER_RUNTIME_$(RUNTIME)) 2>/dev/null
	$(INSTALL) --editable '.[$(EXTRAS)]'
	@touch $@

.PHONY: .chromium-told
.chromium-told:
	@command -v chromium >/dev/null || test -n "$$EELSWATCH_NO_BROWSER" || \
		echo "no chromium found: the tests of the page will fail. On Debian: apt-get install chromium libatomic1;" \
		"elsewhere, or to do without them: EELSWATCH_NO_BROWSER=1 make test"
