# Every target sets up what it needs in a virtual environment of its own. Python 3.11 or newer and make are enough.
PYTHON ?= python3
VENV ?= .venv
IMAGE ?=
NAMES ?=
# What quick runs; nothing is all tests.
TESTS ?=

BIN := $(VENV)/bin
RUN := $(VENV)/run.stamp
DEV := $(VENV)/dev.stamp
PEERS := $(VENV)/peers.stamp
EDGE := $(VENV)/edge.stamp
MUTATION := $(VENV)/mutation.stamp
AUDIT := $(VENV)/audit.stamp
# Workers for all cores; what one is slow with, another takes over.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist worksteal
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: help demo test tests quick failed lowest newest edge coverage lint format docs picture bench soak mutation audit generate clean

help:  ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

demo: $(RUN)  ## Push a real image to a local ECR Public; IMAGE=path pushes one of your own
	$(BIN)/python -m aioecrpublic demo $(if $(IMAGE),--image "$(IMAGE)")

test: lint tests  ## Everything: style, types, tests

tests: $(DEV)  ## The tests alone
	$(PYTEST)

quick: $(DEV)  ## The tests that take seconds at the most
	$(PYTEST) -m "not slow" $(TESTS)

failed:  ## The tests that failed in the last run once more, one after the other
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none

lowest:  ## The tests of the package itself with the lowest versions of its dependencies
	$(MAKE) edge VENV=$(VENV)-lowest PINS=tests.support.lowest

newest:  ## The same with the newest versions, and clients of all of botocore's JSON services
	$(MAKE) edge VENV=$(VENV)-newest
	AIOECRPUBLIC_SOAK=1 $(VENV)-newest/bin/python -m pytest tests/codegen/test_other_services.py

edge: $(EDGE)
	$(PYTEST) -m "not slow" tests/codegen tests/common tests/runtime tests/test_client.py --ignore tests/codegen/test_committed.py

lint: $(DEV)  ## Style and types
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy

format: $(DEV)  ## Put the source into its form
	$(BIN)/python -m ruff check --fix
	$(BIN)/python -m ruff format

docs: $(DEV)  ## Write the API reference to build/docs
	$(BIN)/python -m tests.tools.reference build/docs

picture: $(DEV)  ## Draw the README's picture of a push again
	$(BIN)/python examples/progress_picture.py examples/progress.svg

bench: $(PEERS)  ## Time it beside boto3, aiobotocore, docker-registry and others, interleaved; then how it grows
	$(BIN)/python -m tests.tools.benchmarks --json build/bench/peers.json
	$(BIN)/python -m tests.tools.benchmarks.growth --json build/bench/growth.json --plots build/bench

coverage: $(DEV)  ## The tests with the branches of hand-written code that they reach; less than 95 % fails
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

soak: $(DEV)  ## Thousands of faults instead of hundreds, a minute of load
	AIOECRPUBLIC_SOAK=1 $(PYTEST) --timeout=7200

mutation: $(MUTATION)  ## Change the code a little, again and again: do the tests notice? NAMES="signing retry" chooses
	$(BIN)/python -m tests.tools.mutation $(NAMES)

audit: $(AUDIT)  ## What a user installs: its SBOM in build/sbom.json, licences, files, what is declared, advisories
	$(BIN)/python -m tests.tools.audit $(VENV)-audit --sbom build/sbom.json

generate: $(DEV)  ## Write the generated modules again from the service model
	$(BIN)/python -m aioecrpublic.codegen

clean:  ## Remove everything that the targets made
	rm -rf .venv* build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; say make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade "pip>=25.1"

$(RUN): pyproject.toml | $(BIN)/python
	$(PIP) --editable ".[cli,zstd]"
	@touch $@

$(DEV): pyproject.toml | $(BIN)/python
	$(PIP) --editable ".[cli,zstd]" --group test --group lint
	@touch $@

$(PEERS): pyproject.toml | $(BIN)/python
	$(PIP) --editable ".[cli,zstd]" --group bench
	@touch $@

$(MUTATION): $(DEV)
	$(PIP) --group mutation
	@touch $@

$(AUDIT): $(DEV)
	$(PIP) --group audit
	@touch $@

$(EDGE): pyproject.toml | $(BIN)/python
	$(if $(PINS),$(BIN)/python -m $(PINS),:) >$(VENV)/pins.txt
	$(PIP) --editable ".[cli,codegen,zstd]" --group harness --group lint --requirement $(VENV)/pins.txt boto3
	@touch $@
