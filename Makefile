# Every target says what it does in `make help`. Pass options on with ARGS, for example: make conformance ARGS="-k SVC".

.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory --no-builtin-rules

python := .venv/bin/python
packages := fixtures infra reports suites tests benchmarks conftest.py
# A lab's programs are started by root, and root's output is often piped: let lines appear as they are written.
export PYTHONUNBUFFERED := 1

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: conformance
conformance: ## Stand up a lab and judge it (root, Debian 12); ARGS go to pytest
	@infra/setup/prepare lab
	@$(python) -m pytest suites --cluster lab -n 2 $(ARGS)

.PHONY: test
test: ## Test this software itself: make check, then the tests that use a lab (root, Debian 12)
	@infra/setup/prepare lab
	@$(MAKE) check
	@$(python) -m pytest tests/meta tests/lab tests/cloud tests/provider \
		-n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

.PHONY: check
check: env ## ruff, mypy and the unit tests: seconds, no root
	@$(python) -m ruff check $(packages)
	@$(python) -m ruff format --check $(packages)
	@$(python) -m mypy -p kip_conformance.infra -p kip_conformance.fixtures -p kip_conformance.reports -p benchmarks
	@$(python) -m pytest tests/unit --quiet -n 2 --dist loadfile

.PHONY: faults
faults: ## Seed one defect at a time in a green lab and see which checks notice (root, Debian 12)
	@infra/setup/prepare lab
	@$(python) -m kip_conformance.infra.faults $(ARGS)

.PHONY: faults-quick
faults-quick: ## A seeded tenth of the faults; the seed is printed, ARGS="--seed N" repeats one (root, Debian 12)
	@infra/setup/prepare lab
	@$(python) -m kip_conformance.infra.faults --sample 0.1 $(ARGS)

.PHONY: bench
bench: ## Measure what the README quotes, medians of 5 (root, Debian 12)
	@infra/setup/prepare lab
	@$(python) -m benchmarks $(ARGS)

.PHONY: env
env: ## Make or refresh the Python environment .venv, nothing else
	@infra/setup/prepare env

.PHONY: docs
docs: env ## Make the generated pages of docs/ anew: catalogue, list of faults, example
	@$(python) -m kip_conformance.reports.catalogue > docs/catalogue.md
	@$(python) -m kip_conformance.infra.faults.listing > docs/fault-list.md
	@$(python) -m tests.unit.test_reports_docs
	@$(python) -m tests.cloud.fabric.page > docs/network-facts.md

.PHONY: lock
lock: env ## Resolve requirements.lock and infra/setup/uv.lock.txt anew, keeping what still fits
	@infra/setup/lock

.PHONY: clean
clean: ## Remove what killed labs left behind, and everything made in this folder but reports (caches stay)
	@if [ -x $(python) ]; then .venv/bin/kip-conformance clean; fi
	@rm -rf .venv .uv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	@find $(packages) -name __pycache__ -type d -prune -exec rm -rf {} +
