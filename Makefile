# binah-ml: `make demo` and `make test` do all their set-up themselves.

# The Python environment with MLflow, libxgboost and PostgreSQL; and cargo-deny.
DEPS  ?= $(CURDIR)/.deps
# The same with MLflow 2.9.2 and the libraries of its time, for the tests.
DEPS_OLD ?= $(CURDIR)/.deps-old
TOOLS ?= $(abspath $(DEPS)/../.tools)
# Neo4j for the demo and the tests.
NEO4J_DEV ?= $(abspath $(DEPS)/../.neo4j)
# What the demo keeps between runs.
DATA  ?= $(CURDIR)/data
# Arguments of `make demo`, such as ARGS=--exit.
ARGS  ?=
export DEPS DEPS_OLD NEO4J_DEV

TARGET     := $(or $(CARGO_TARGET_DIR),target)
CARGO_DENY := $(TOOLS)/bin/cargo-deny
CARGO_DENY_VERSION := 0.20.2

.DEFAULT_GOAL := help
.PHONY: help demo test bench canary chaos fuzz check audit deps deps-old neo4j-dev clean-data

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: deps neo4j-dev ## Train and predict for two sample tenants; stays up until Ctrl-C (ARGS=--exit: stops after the summary)
	@echo "==> Building the service (release): minutes the first time, seconds afterwards"
	@cargo build --release
	@exec $(TARGET)/release/binah-ml demo $(ARGS)

test: deps deps-old neo4j-dev ## Run all tests, against real Postgres, MLflow and Neo4j
	cargo test --all

fuzz: deps ## 100,000 random statements against the isolation of training_data_query (FUZZ_SEED, FUZZ_STATEMENTS)
	cargo test --release --test it -- --ignored --nocapture a_hundred_thousand_random_statements

canary: deps ## 100,000 requests of 50 tenants, and a search for canaries in all that leaves (CANARY_REQUESTS, CANARY_SEED)
	cargo test --release --test it -- --ignored --nocapture no_canary_leaves_in_a_hundred_thousand

chaos: deps ## 200 rounds of kills, freezes, restarts of Postgres and cut connections against the training queue, and 100 SIGTERMs under load (CHAOS_ROUNDS, CHAOS_SEED, CHAOS_SIGTERMS)
	cargo test --release --test it -- --ignored --nocapture --test-threads 1 chaos::

bench: deps neo4j-dev ## Run the benchmarks
	cargo bench

check: deps $(CARGO_DENY) ## Formatting, lints, licences and sources of dependencies, documentation
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	$(CARGO_DENY) --log-level error check bans licenses sources
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib

audit: $(CARGO_DENY) ## Known vulnerabilities of dependencies (fetches the advisory database)
	$(CARGO_DENY) check advisories

deps: ## Install what the demo and the tests need beside Rust into DEPS
	@scripts/deps.sh

deps-old: deps ## Install MLflow 2.9.2 and libraries of its time into DEPS_OLD, for the tests
	@scripts/deps.sh old

neo4j-dev: ## Fetch Neo4j for the demo and the tests into NEO4J_DEV, with Java and Maven where they lack
	@deploy/neo4j-dev/fetch.sh

clean-data: ## Remove the demo's databases, models and logs
	@pid=$$(head -n 1 "$(DATA)/postgres/cluster/postmaster.pid" 2>/dev/null); \
	if [ -n "$$pid" ] && tr '\0' '\n' <"/proc/$$pid/cmdline" 2>/dev/null | grep -qxF "$$(realpath "$(DATA)/postgres/cluster")"; then \
		echo "The demo is running: stop it first" >&2; exit 1; \
	fi
	rm -rf "$(DATA)"

$(CARGO_DENY):
	@echo "==> Installing cargo-deny $(CARGO_DENY_VERSION): minutes, once"
	@env -u CARGO_TARGET_DIR cargo install --quiet --locked --root "$(TOOLS)" --version $(CARGO_DENY_VERSION) cargo-deny
