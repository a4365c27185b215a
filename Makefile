# `make demo` sets everything up and finds things in a photo; `make help` lists the rest.
SHELL  := bash
PYTHON ?= python3
PYTHON_VLLM ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.setup-done

PHOTO  ?= photos/chickens.jpg
LABELS ?= chicken, duck, bicycle
OUT    ?= demo.png

.PHONY: help setup demo serve test test-slow test-ray test-page test-timm test-vllm check format train-tiny train-smol eval-smol clean
.DELETE_ON_ERROR:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(STAMP) ## virtual environment with pinned packages, CPU torch, and the base language model

# torch comes first and by its exact version: a plain `torch` would bring gigabytes of CUDA.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 10), "Python 3.10 or newer is needed; try make PYTHON=python3.11"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/fo1 fetch-base
	touch $@

demo: $(STAMP) ## find things in a photo: make demo PHOTO=my.jpg LABELS="cat, ball"
	$(BIN)/fo1 detect "$(PHOTO)" "$(LABELS)" --save "$(OUT)"
	@echo "The picture is in $(abspath $(OUT))"

serve: $(STAMP) ## answer over HTTP, and open a page to try it
	$(BIN)/fo1 demo

test: $(STAMP) ## the tests
	$(BIN)/python -m pytest -q

test-slow: $(STAMP) ## the tests that take longer or need the whole model
	$(BIN)/python -m pytest -q -m slow

test-ray: $(STAMP) ## the tests that start Ray, with two workers
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[ray]'
	$(BIN)/python -m pytest -q -m slow tests/labeling/test_ray_engine.py tests/serving/test_ray_app.py

test-page: $(STAMP) ## the tests of the page, in Debian's chromium
	$(BIN)/python -m pip install --quiet -c constraints.txt playwright
	$(BIN)/python -m pytest -q -m slow tests/serving/test_page.py

test-timm: .venv-timm/.setup-done ## the tests of timm's encoders, in an environment of their own
	.venv-timm/bin/python -m pytest -q tests/encoders/test_timm_encoder.py

.venv-timm/.setup-done: scripts/timm_environment.sh constraints.txt
	PYTHON="$(PYTHON)" scripts/timm_environment.sh .venv-timm
	touch $@

test-vllm: .venv-vllm/.setup-done ## the tests of the vLLM plug-in, in an environment of their own
	VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind VLLM_LOGGING_LEVEL=ERROR \
	.venv-vllm/bin/python -m pytest -q -m "vllm and not slow" tests/vllm --show-capture=no

.venv-vllm/.setup-done: scripts/setup_vllm.sh
	PYTHON="$(PYTHON_VLLM)" scripts/setup_vllm.sh .venv-vllm
	touch $@

check: $(STAMP) ## lint, formatting, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py

format: $(STAMP) ## put the code into its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

train-tiny: $(STAMP) ## both stages of training on a tiny random model (two minutes)
	$(BIN)/python -m fo1.training.tiny

train-smol: $(STAMP) ## train the bundled model again from packages (hours)
	PATH="$(abspath $(BIN)):$$PATH" scripts/train_smol.sh

eval-smol: $(STAMP) ## measure the bundled model
	$(BIN)/fo1 eval fo1-scenes

clean: ## remove the environment, caches and the demo picture
	rm -rf $(VENV) .venv-timm .venv-vllm .mypy_cache .pytest_cache .ruff_cache build src/*.egg-info "$(OUT)"
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
