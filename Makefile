# Everything runs in its own environment, .venv, made on the first call. Another Python: make PYTHON=python3.12 test
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
WORKERS ?= 2

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_STAMP := $(VENV)/.installed-demo
# Options of pip, such as an index with builds of torch for the processor alone, which are far smaller than those for CUDA.
PIP_ARGS ?=
INSTALL = $(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) -c constraints.txt
CHOSEN_ON := deeppcb-defaults magnetic_tile-defaults
EVIDENCE := deeppcb magnetic_tile deeppcb-shots magnetic_tile-shots
RECORDS ?= runs/evidence/records
TOKENIZER := bgdefect_core/assets/bgdefect-mini/tokenizer

.PHONY: help setup demo test test-slow test-browser test-host lint results evaluate-base evidence bench gpu-check pretrain wheel clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 15

$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (a few minutes the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(INSTALL) -e '.[train,evaluate,dev]'
	@touch $@ $(DEMO_STAMP)

$(DEMO_STAMP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) for the demo ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(INSTALL) --no-compile -e '.[generate]'
	@touch $@

setup: $(STAMP)  ## make the environment

demo: $(DEMO_STAMP)  ## learn a defect class and paint it into good parts (BGDEFECT_DATA=folder: your own pictures)
	$(BIN)/bgdefect demo $(ARGS)

test: $(STAMP)  ## run the tests, without the slow ones, in two processes of one thread (WORKERS)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow" $(ARGS)

test-slow: $(STAMP)  ## run the slow tests
	$(BIN)/python -m pytest -m "slow and not host and not browser" $(ARGS)

test-browser: $(STAMP)  ## the review page in a real Chromium (chromium and chromedriver on the PATH)
	$(BIN)/python -m pytest tests/browser -rs $(ARGS)

test-host: $(STAMP)  ## all tests on the real ComfyUI (COMFYUI_DIRS, COMFYUI_PYTHONS)
	$(BIN)/python -m pytest tests/host tests/nodes -rs --durations=20 $(ARGS)

lint: $(STAMP)  ## style, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

results: $(STAMP)  ## the figures of docs/results.md (BGDEFECT_DATA=folder of the real sets)
	$(BIN)/bgdefect results --data $${BGDEFECT_DATA:?set it to the folder of the real sets}/*/ $(ARGS)

evaluate-base: $(STAMP)  ## the embedded base on pictures that it has never seen (BGDEFECT_DATA=folder of the real sets)
	$(BIN)/bgdefect evaluate-base --data $${BGDEFECT_DATA:?set it to the folder of the real sets}/*/ $(ARGS)

evidence: $(STAMP)  ## the figures of docs/evidence.md (BGDEFECT_DATA=folder of the real sets; hours, goes on after a kill)
	for recipe in $(CHOSEN_ON) $(EVIDENCE); do \
	  $(BIN)/bgdefect evaluate --recipe $$recipe --data $${BGDEFECT_DATA:?set it to the folder of the real sets}/$${recipe%-*} \
	    --output runs/evidence/$$recipe $(ARGS) || exit; \
	done
	$(BIN)/bgdefect evaluate-summary $(EVIDENCE:%=runs/evidence/%) --chosen-on $(CHOSEN_ON:%=runs/evidence/%) \
	  --output runs/evidence/evidence.md --plot runs/evidence/gains.png --records $(RECORDS)

bench: $(STAMP)  ## cost of training and generation against the bare U-Net
	$(BIN)/bgdefect bench train $(ARGS)
	$(BIN)/bgdefect bench sampling $(ARGS)
	$(BIN)/bgdefect bench generate $(ARGS)

gpu-check:  ## what the package does on a GPU, for docs/gpu.md (PYTHON with its packages; nothing is installed; resumes)
	$(PYTHON) -m trainer bench gpu --page docs/gpu.md $(ARGS)

pretrain: $(STAMP)  ## train the embedded base anew (hours; continues after a kill)
	$(BIN)/bgdefect pretrain --output runs/pretrain --tokenizer $(TOKENIZER) $(ARGS)

wheel: $(STAMP)  ## build dist/bgdefect-*.whl
	rm -rf build
	$(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w dist .

clean:  ## remove what builds and tools leave; keeps .venv and runs
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find bgdefect_core trainer tests -name __pycache__ -type d -prune -exec rm -rf {} +
