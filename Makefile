# Every chore has a name here; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help install run demo cluster cluster-down check test suite integration chaos fuzz e2e seeds bench docs dist clean format

BIN := .venv/bin
NODES ?= 1
BOOT ?= bios
STATE ?= .state
ENGINES ?= postgresql rabbitmq
CLUSTER ?= /var/lib/drophammer-cluster
PYTEST := $(BIN)/python -m pytest
TESTS := tests/chaos tests/contract tests/functional tests/unit
# What has neither a database nor a bus is the same on all engines.
ENGINELESS := agent ipmi lab netboot/importing

# Modules and tests are kept as compiled. Each of the workers, and each service that a test
# starts, would compile all of them.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the chores
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | \
		while IFS="$$(printf '\t')" read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

install: ## set up only: Debian packages and the virtualenv
	@bin/setup lab

run: ## run the service on 127.0.0.1:6385, with its state in .state
	@bin/setup
	@exec $(BIN)/drophammer serve --state-dir $(STATE)

demo: ## an empty virtual machine becomes a running system (NODES=3, BOOT=bios|uefi)
	@bin/setup lab
	@exec $(BIN)/drophammer demo --nodes $(NODES) --boot $(BOOT)

cluster: ## PostgreSQL, RabbitMQ, 2 APIs behind HAProxy, 3 conductors, netboot, all on loopback
	@bin/setup cluster
	@$(BIN)/python -m cluster up --folder $(CLUSTER)

cluster-down: ## end what `make cluster` started and remove its folder
	@$(BIN)/python -m cluster down --folder $(CLUSTER)

format: ## format the code
	@bin/setup
	$(BIN)/ruff format -q .
	$(BIN)/ruff check -q --fix .

check: ## the inner loop: format, lint, types, imports, all tests that are quick
	@bin/setup lab
	$(BIN)/ruff format -q --check .
	$(BIN)/ruff check -q .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m embedded.generated --check
	$(PYTEST) -q -rs -n 4 --dist loadfile --no-loadscope-reorder -m "not slow" $(TESTS)

test: check ## everything: the inner loop with what is slow, packaging, booted machines
	$(PYTEST) -q tests/integration/test_wheel.py
	$(PYTEST) -q -m slow tests/contract
	$(PYTEST) -q -n 2 --dist loadfile -m slow tests/functional tests/unit
	$(MAKE) suite integration
	$(PYTEST) -q -rs -m slow tests/chaos
	$(PYTEST) -q -rs -m e2e tests/e2e

suite: ## the functional tests on ENGINES="postgresql rabbitmq" or "mariadb rabbitmq"
	@bin/setup cluster
	$(BIN)/python -m cluster with $(ENGINES) -- \
		$(PYTEST) -q -n 2 --dist loadfile -m "not slow" \
		$(ENGINELESS:%=--ignore tests/functional/%) tests/functional

integration: ## engines that are killed, stopped, cut off and full; two versions beside each other
	@bin/setup cluster
	# Alone: it is about seconds, and others' clusters that start take all of some.
	$(PYTEST) -q -rs tests/integration/bus
	$(PYTEST) -q -rs -n 2 --dist loadfile tests/integration/database tests/integration/upgrade

chaos: ## ten minutes of it: a cluster whose parts are killed, stopped and cut off at random
	@bin/setup cluster
	$(BIN)/python -m tests.chaos

fuzz: ## every parser of what strangers send, half a minute each, watching what is reached
	@bin/setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz

e2e: ## only the tests that boot machines
	@bin/setup lab
	$(PYTEST) -q -rs -m e2e tests/e2e

seeds: ## run the tests that show what was asked for, and write their results: docs/seeds.md
	@bin/setup lab
	-$(PYTEST) -q -rs -m seed --junitxml=.cache/seeds.xml $(TESTS) tests/integration tests/e2e
	$(BIN)/python -m tests.seeds --results .cache/seeds.xml

bench: ## speed, as ratios; nothing fails
	@bin/setup lab
	$(BIN)/python -m tests.bench

docs: ## write the generated documents again
	@bin/setup
	$(BIN)/python -m embedded.generated
	$(BIN)/python -m tests.seeds

dist: ## build wheel and sdist into dist/
	@bin/setup
	$(BIN)/python -m build --outdir dist .

clean: ## remove what was built, the state of `make run` and the caches
	rm -rf .venv .state .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
