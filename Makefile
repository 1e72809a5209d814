# Parley's commands. `make` alone lists them.

STAGE ?= dev
DATA ?= $(wildcard ../shared/data)# labelled utterances, for bench-nlu

# The first interpreter that is new enough; a pyenv shim that only prints an error is passed over.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup run chat bench bench-nlu bench-cache bench-generator test test-backends lint format synth deploy lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv from requirements.lock and node_modules from package-lock.json
	@if [ -z "$(PYTHON)" ]; then echo "Parley needs Python 3.11 or newer, and no such python3 is on the PATH." >&2; exit 1; fi
	@$(PYTHON) scripts/setup.py

run: setup ## the whole stack on this machine, until Ctrl-C
	@$(VENV)/python scripts/run_local.py

chat: setup ## talk to the example bot in the terminal
	@$(VENV)/python scripts/chat.py

bench: setup ## time and memory of a turn in one process; decisions a second; long conversations
	@$(VENV)/python scripts/bench_turn.py
	@$(VENV)/python scripts/bench_dialogue.py

bench-nlu: setup ## time, memory and, with DATA=folder of labelled utterances, quality of the understanding
	@$(VENV)/python scripts/bench_nlu.py $(if $(DATA),--data $(DATA))

bench-knowledge: setup ## a search, loading a library, taking documents in
	@OMP_NUM_THREADS=1 $(VENV)/python scripts/bench_knowledge.py

bench-cache: setup ## a lookup in the reply cache, with 5,000 questions in memory
	@OMP_NUM_THREADS=1 $(VENV)/python scripts/bench_cache.py

bench-generator: setup ## speed of the generator's endpoint with 1 to 16 people at once, beside transformers
	@$(VENV)/python scripts/bench_generator.py

test: lint ## everything that needs no AWS account
	@$(VENV)/python -m pytest --numprocesses 2 --no-loadscope-reorder

test-backends: setup ## the generator's backends before real servers, which are installed for it (4 GB)
	@$(VENV)/python scripts/backends.py

lint: setup ## style and types
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy

format: setup ## put the code into the project's format
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

synth: setup ## the CloudFormation templates of STAGE, without an account
	@$(VENV)/python scripts/deploy.py synth --stage $(STAGE)

deploy: setup ## `cdk deploy` of STAGE to the AWS account of your credentials
	@$(VENV)/python scripts/deploy.py deploy --stage $(STAGE)

lock: ## resolve the requirements*.in files again (needs uv)
	uv pip compile requirements.in --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
		--no-emit-find-links --no-annotate --custom-compile-command 'make lock' --upgrade -o requirements.lock
	uv pip compile layers/dependencies/requirements.in --universal --generate-hashes --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command 'make lock' \
		--constraint requirements.lock --override layers/dependencies/left-out.txt \
		--upgrade -o layers/dependencies/requirements.lock
	for layer in tensorflow_serving chat_template documents identity; do uv pip compile layers/$$layer/requirements.in --universal \
		--generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate \
		--custom-compile-command 'make lock' --constraint requirements.lock \
		--upgrade -o layers/$$layer/requirements.lock || exit 1; done

clean: ## remove what set-up and the build made
	rm -rf .venv node_modules .parley cdk.out
