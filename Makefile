# `make` explains itself. Everything sets itself up first: Python 3.11 to 3.13 and git are all that is needed.

PYTHON ?= python3
WORKSPACE ?= runs/demo
OPEN_MODEL ?= runs/open-model
OPEN_RECIPE ?= --train 20000 --validation 600 --first-epochs 18 --set train.epochs=6 --set train.learning_rate=0.005 \
	--set train.precision=bf16
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## a virtual environment in .venv, pinned by constraints.txt

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "DeepMark needs Python 3.11 to 3.13, found " + sys.version.split()[0] + ". Name another: make setup PYTHON=python3.12")'
	@echo 'Installing about 2.6 GB into .venv: this takes some minutes.'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY)  ## draw data, run the whole graph on it through Dagster and DVC, print the table
	$(BIN)/deepmark demo "$(WORKSPACE)"

ui: $(READY)  ## Dagster and MLflow over the same workspace, on loopback (WORKSPACE=runs/demo)
	$(BIN)/python -m pipelines.ui --workspace "$(WORKSPACE)"

# Two processes, which share the files among them; those with slow tests go first (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

PANORAMAS := https://registry.npmjs.org/@pmndrs/assets/-/assets-1.7.0.tgz
$(OPEN_MODEL)/grounds: | $(READY)
	mkdir -p "$(OPEN_MODEL)"
	curl --fail --silent --show-error --location $(PANORAMAS) --output "$(OPEN_MODEL)/panoramas.tgz"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt OpenEXR==3.5.3
	$(BIN)/python benchmarks/panorama_grounds.py "$(OPEN_MODEL)/panoramas.tgz" "$@"

# With the extra synth3d; what was interrupted goes on.
open-model: $(READY) $(OPEN_MODEL)/grounds  ## the model that comes with DeepMark, from nothing: images, training, export, card; hours, in several sittings
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,synth3d]'
	$(BIN)/python benchmarks/make_open_model.py "$(OPEN_MODEL)" --grounds "$(OPEN_MODEL)/grounds" --into deepmark/models $(OPEN_RECIPE)

test: $(READY)  ## the tests of the code, in the processes of the tests
	$(PYTEST) -m 'not system and not story'

test-quick: $(READY)  ## of these the tests that take a second or less
	$(PYTEST) -m 'not slow and not system and not story'

test-system: $(READY)  ## the tests of whole systems: machines, kills, servers, browsers, the whole graph
	$(PYTEST) -m system --ignore tests/cluster/test_lost_machines.py

test-cluster: $(READY)  ## those of Ray clusters, also the ones that lose machines, one after the other
	$(BIN)/python -m pytest tests/cluster -m system -s --durations 10

LABEL_STUDIO := .venv-labels/bin/label-studio
$(LABEL_STUDIO):
	$(PYTHON) -m venv .venv-labels
	.venv-labels/bin/python -m pip install --quiet --disable-pip-version-check label-studio==1.23.2

test-labels: $(READY) $(LABEL_STUDIO)  ## of these the ones of labelling tools that really run: a gigabyte in .venv-labels
	LABEL_STUDIO=$(abspath $(LABEL_STUDIO)) $(BIN)/python -m pytest tests/labels -s

story: $(READY)  ## a scheduled retraining from end to end by the real daemon, then once more with 20 kills: 40 minutes
	$(BIN)/python -m pytest tests/story -m story -s --timeout 0

lint: $(READY)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)  ## the documentation as a site in site/; its search wants a server: python3 -m http.server -d site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:  ## forget the environment and the demo
	rm -rf .venv runs/demo site

.PHONY: help setup demo ui open-model test test-quick test-system test-cluster test-labels story lint docs clean
