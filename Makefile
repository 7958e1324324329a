PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help venv demo test check bench bench-judge terraform-check schemas dashboards clean

help:            ## what can be made
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 18

venv: $(READY)   ## the virtual environment .venv with everything in it

$(READY): pyproject.toml functions/requirements.txt requirements-dev.txt
	$(PYTHON) -c 'import sys; sys.exit("pointsman needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c functions/requirements.txt -e '.[local]'
	touch $@

demo: $(READY)   ## the main job: a push becomes a served model, on this machine
	$(BIN)/pointsman demo

test: $(READY)   ## all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0

check: $(READY)  ## formatting, lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## benchmarks: ratios measured in one run
	$(BIN)/python -m benchmarks

bench-judge: $(READY) ## the judge over simulated rollouts, beside its peers: about half an hour (quick: make bench)
	$(BIN)/python -m benchmarks.judge

terraform-check: $(READY) ## the Terraform without a cloud: every example, validated, planned, applied, destroyed
	$(BIN)/python -m tools.terraform_standin check

schemas: $(READY) ## write schemas/ and docs/reference/ again from the models
	$(BIN)/python -m pointsman_cli.generate

dashboards: $(READY) ## write dashboards/ again from their descriptions
	$(BIN)/python -m dashboards

clean:           ## remove what make made
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache build
