SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help run test bench fuzz setup web fmt lint screenshots clean-data

help: ## List the targets
	@sed -n 's/^\([a-z-]*\): ## \(.*\)/\1\t\2/p' Makefile | awk -F '\t' '{ printf "  %-12s %s\n", $$1, $$2 }'

run: ## Install what is missing, build, and run with the demo data on http://127.0.0.1:3000
	@scripts/run.sh

test: ## Run every test, those in a browser included
	@scripts/test.sh

bench: ## Measure the pipeline, the replay and the queries; writes bench/results.json
	@scripts/bench.sh

fuzz: ## Feed the readers of events with what a fuzzer comes up with: make fuzz SECONDS_EACH=900
	@scripts/fuzz.sh $${SECONDS_EACH:-60}

setup: ## Install what the build, the run and the tests need
	@scripts/setup.sh test
	@scripts/fetch-data.sh

web: ## Build what the browser loads
	@scripts/build-web.sh

fmt: ## Format the code
	@. scripts/env.sh && cargo fmt --all

lint: ## Check format, direction of dependencies, and clippy
	@. scripts/env.sh && cargo fmt --all --check
	@scripts/check-deps.sh
	@. scripts/env.sh && cargo clippy --locked --workspace --all-targets -- -D warnings

screenshots: ## Make docs/overview.png of the server at BASE_URL (http://127.0.0.1:3000)
	@BASE_URL="$${BASE_URL:-http://127.0.0.1:3000}" scripts/screenshot.sh

clean-data: ## Remove data/, all that the program has stored here
	@note="$$(cat data/postgres/location 2>/dev/null)"; \
	  if [ -n "$$note" ]; then echo "the database lived in $$note; remove that too if nobody needs it"; fi
	rm -rf data
