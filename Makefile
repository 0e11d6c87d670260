PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ARGS ?=

.PHONY: grok test test-slow lint format benchmark clean

## make grok: install if need be, then train MNIST until it groks
grok: $(INSTALLED)
	$(BIN)/grok fit --config configs/mnist_grok.yaml $(ARGS)

## make test: install if need be, then run the tests
test: $(INSTALLED)
	$(BIN)/python -m pytest $(ARGS)

## make test-slow: the longer scientific checks
test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(INSTALLED)
	$(BIN)/python scripts/benchmark.py $(ARGS)

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV)
