PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ARGS ?=
# One process per core; an idle one takes tests from the others.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

.PHONY: grok test test-slow lint format benchmark figures docs clean

## make grok: install if necessary, then train MNIST until it groks; an interrupted run is resumed
grok: $(INSTALLED)
	$(BIN)/grok fit --config configs/mnist_grok.yaml --ckpt_path auto $(ARGS)

## make test: install if necessary, then run the tests, in a random order that --randomly-seed repeats
test: $(INSTALLED)
	$(PYTEST) $(ARGS)

## make test-slow: the longer scientific checks
test-slow: $(INSTALLED)
	$(PYTEST) -m slow $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(INSTALLED)
	$(BIN)/python scripts/benchmark.py $(ARGS)

## make figures: the quick version of every figure of the paper; finished runs are kept in runs/figures
FIGURES := $(foreach n,1 2 3 4 5 6 7 8,figure$(n)) appendix_lottery_ticket
figures: $(INSTALLED)
	for figure in $(FIGURES); do $(BIN)/python scripts/$$figure.py --quick $(ARGS) || exit; done

## make docs: the documentation as a site in docs/site, which a browser opens without a network
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --config-file docs/mkdocs.yml

$(INSTALLED): pyproject.toml
	@echo "installing into $(VENV), which takes some minutes"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV)
