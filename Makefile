# Everyday chores, one command each. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export QT_QPA_PLATFORM ?= offscreen

.DEFAULT_GOAL := help
.PHONY: help demo orange test lint bench parity fuzz audit docs dist screenshots clean

help:  ## list the chores
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

# One environment for all chores; made anew when what the package needs changes.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test,doc,dist]'
	touch $@

$(VENV)/demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

demo: $(VENV)/demo  ## embed the photos of examples/ and show which are alike
	$(BIN)/python tools/demo.py examples/photos demo

orange: $(VENV)/installed  ## open Orange with the example workflow
	env -u QT_QPA_PLATFORM $(BIN)/python -m Orange.canvas examples/image-clustering.ows

test: $(VENV)/installed  ## run the whole suite, without a screen
	$(BIN)/python -m pytest

lint: $(VENV)/installed  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed  ## print the figures of the README (OPTIONS='--quick --photos FOLDER')
	$(BIN)/python -m benchmarks $(OPTIONS)

parity: $(VENV)/installed  ## compare the models that are built here with PyTorch's (6 GB; OPTIONS='vgg')
	$(BIN)/python -m nox -s parity -- $(OPTIONS)

fuzz: $(VENV)/installed  ## feed the decoders with broken and hostile files (SECONDS=60)
	$(BIN)/python -m benchmarks.fuzz --seconds $(or $(SECONDS),60)

audit: $(VENV)/installed  ## look for known faults in all that is needed (asks the network)
	$(BIN)/python -m nox -s audit

docs: $(VENV)/installed  ## build the documentation
	$(BIN)/python -m sphinx -W --keep-going -d doc/_build/doctrees -b html doc doc/_build/html

dist: docs  ## build the wheel and the source distribution, with the help inside
	rm -rf build dist orangecontrib/imageanalytics/help
	cp -r doc/_build/html orangecontrib/imageanalytics/help
	$(BIN)/python -m build
	rm -rf orangecontrib/imageanalytics/help
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

screenshots: $(VENV)/installed  ## make the pictures of the documentation anew (needs Xvfb)
	$(BIN)/python doc/screenshots.py
	for what in '' import_ viewer_ grid_ save_ find_ download_; do \
	    $(BIN)/python doc/$${what}screenshots.py || exit; done
	$(BIN)/python doc/canvas_screenshot.py examples/image-clustering.ows
	$(BIN)/python doc/canvas_screenshot.py predictions
	$(BIN)/python doc/canvas_screenshot.py grid

clean:  ## remove what the chores made
	rm -rf $(VENV) build dist demo bench doc/_build orangecontrib/imageanalytics/help *.egg-info .pytest_cache .mypy_cache .ruff_cache
