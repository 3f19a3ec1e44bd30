# Everything here sets up what it needs first; a second run finds it and is quick. PYTHON=... chooses an interpreter.
SHELL := /bin/bash
BIN := .venv/bin
# The engine script says where a container engine answers; everything after it uses that one.
ENGINE = engine=$$(scripts/engine) && eval "$$engine"

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench soak up down images venv clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: ## The tour on a real Asterisk with real phones (KEEP=1 leaves it running)
	@scripts/setup asterisk phone
	@$(ENGINE) && $(BIN)/provisioner demo $(if $(KEEP),--keep) </dev/null

test: ## Lint, types and every test, on real parts
	@scripts/setup asterisk phone postgres provisioner compose
	@$(ENGINE) && scripts/tests

lint: venv ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict

format: venv ## Let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: ## Ratios against named rivals and limits, in one run
	@scripts/setup asterisk phone
	@$(ENGINE) && $(BIN)/python -m benchmarks </dev/null

soak: ## 15 minutes of changes, phones and faults on two nodes (FOR=60 for a minute)
	@scripts/setup asterisk phone
	@$(ENGINE) && $(BIN)/python -m tests.acceptance.sync.soak $(or $(FOR),900) </dev/null

up: ## Database, Asterisk, daemon and command line with docker compose
	@$(ENGINE) && scripts/images asterisk postgres provisioner compose
	@scripts/compose up --wait </dev/null
	@echo 'Now: scripts/compose run --rm provisioner user add anna --name "Anna Kowalska"'

down: ## End what `make up` started, data included
	@scripts/compose down --volumes </dev/null

images: ## Build every image
	@$(ENGINE) && scripts/images

venv: ## Make .venv
	@scripts/venv

clean: ## Remove what was built here (images stay; scripts/engine stop ends an engine of ours)
	rm -rf .venv dist build .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
