# The one command surface: CI and the documentation call these targets and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# Warnings are denied here and not in the source or in RUSTFLAGS: those would build every dependency again.
DENY := -- -D warnings
# What the tests need beside cargo: tests/tools gets it on first use. Python's packages (the EC2 emulator, shellcheck) come
# before what the machine has, since their versions are pinned; programs after it, since they are what it lacks.
VENV := .lab/venv
WITH_TOOLS := PATH="$(CURDIR)/$(VENV)/bin:$$PATH:$(CURDIR)/.lab/tools/bin"

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## a debug build
	$(CARGO) build --locked

.PHONY: demo
demo: ## the whole service against a simulated GitLab and EC2, in this terminal
	$(CARGO) run --locked -- demo

.PHONY: fmt
fmt: ## format the source
	$(CARGO) fmt --all

# By their first line, so that no new script is forgotten. The one that begins every job has none: it is no script of its own.
# Nor have the parts of the worker's agent: a test checks them as the one script that they make (`rendered`). What users
# wrote, kept as the input of tests, is as it is.
SCRIPTS := git ls-files -z -- ':!*/tests/it/cases/*' | xargs -0 awk 'FNR == 1 && /^\#!.*[\/ ](ba)?sh( |$$)/ { printf "%s%c", FILENAME, 0 } { nextfile }'
# All crates; not what stands beside them and would change the features of what they are built from.
TESTED := --workspace --exclude runner-fleet-benches --exclude runner-fleet-fuzz
# Most tests wait for a shell, a server or a timer more than they compute.
export RUST_TEST_THREADS ?= $(shell echo $$((3 * $$(nproc))))
# What Python compiled is kept, whatever the machine is set to: otherwise each start of an emulator compiles it all again.
export PYTHONDONTWRITEBYTECODE :=
IN_CI := [[ "$${CI:-}" == true ]]

.PHONY: lint
lint: python ## formatting, clippy, shell scripts, the unit; warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets $(DENY)
	@$(SCRIPTS) | xargs -0 $(VENV)/bin/shellcheck --external-sources
	@$(VENV)/bin/shellcheck --shell=sh crates/worker/src/files/docker-seed.sh
	@if command -v systemd-analyze >/dev/null; then packaging/verify-unit packaging/runner-fleet.service; \
	else echo "NOT CHECKED: the unit, for want of systemd-analyze"; ! $(IN_CI); fi

.PHONY: test
test: tools ## all tests but the lab
	$(CARGO) test --locked $(TESTED) --no-run --message-format=json-render-diagnostics | $(WITH_TOOLS) tests/all
	$(CARGO) test --locked $(TESTED) --doc

.PHONY: tools
tools: ## what the tests need and this machine lacks, into .lab/; needs no root
	@tests/tools

.PHONY: python
python:
	@RUNNER_FLEET_LAB_CACHE= tests/lab/setup python

# The soak and the mutations are of the simulated world, which compiles in seconds.
SIM := --locked --package runner-fleet-sim
SEEDS ?= 10000
FIRST ?= 0
KIND ?=
SEED ?= 0
MUTANTS ?=

.PHONY: soak
soak: ## many simulated worlds against the laws, on all cores (SEEDS=1000000 FIRST=0 KIND=honest|rough|restless)
	$(CARGO) build --profile soak $(SIM) --bin soak
	@target/soak/soak $(FIRST) $(SEEDS) $(KIND)

.PHONY: replay
replay: ## one simulated world with all that happened in it (SEED=7 KIND=rough)
	$(CARGO) build --profile soak $(SIM) --bin soak
	@target/soak/soak --replay $(SEED) $(KIND)

.PHONY: mutations
mutations: ## deliberate bugs in the engine, each of which a test must catch (MUTANTS=part-of-a-name JOBS=1)
	$(CARGO) build $(SIM) --bin mutations
	@CARGO="$(CARGO)" target/debug/mutations . $(if $(MUTANTS),"$(MUTANTS)")

.PHONY: mutations-apply
mutations-apply: ## whether every deliberate bug still has its place in the source
	$(CARGO) build $(SIM) --bin mutations
	@target/debug/mutations . --check

TARGET ?= config
FUZZ_SECONDS ?= 3600

# What cargo-fuzz passes, but for the address sanitizer, which has nothing to find where unsafe code is forbidden and would
# need a nightly toolchain. The layout is cargo-fuzz's, so that it can be used as well.
COVERAGE := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1

.PHONY: fuzz
fuzz: ## fuzz one target (TARGET=config|agent|gitlab|periods FUZZ_SECONDS=3600); new inputs go to target/fuzz/TARGET
	RUSTFLAGS="$(COVERAGE)" $(CARGO) build --locked --profile fuzz --package runner-fleet-fuzz --features fuzzer \
		--target-dir target/fuzz --target $$(rustc -vV | sed -n 's/^host: //p')
	@mkdir -p target/fuzz/$(TARGET)
	target/fuzz/*/fuzz/$(TARGET) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
		-artifact_prefix=target/fuzz/ -print_final_stats=1 target/fuzz/$(TARGET) fuzz/corpus/$(TARGET)

.PHONY: fuzz-smoke
fuzz-smoke: ## every fuzz target on its corpus and 20,000 mutations of it, without a fuzzer
	$(CARGO) test --locked --package runner-fleet-fuzz

SIMULATED := target/simulations

.PHONY: simulations
simulations: native ## the tables of docs/simulator.md: bundled workloads, everyone tuned to the same waits
	@mkdir -p $(SIMULATED)
	@for pair in office-hours:41s merge-trains:66s nightly-bursts:66s; do for requests in 1 10; do \
		target/release/runner-fleet simulate --config config/workloads/runner.toml --workload $${pair%:*} \
			--equal-wait $${pair#*:} --curve --request-concurrency $$requests \
			--compare docker+machine docker-autoscaler --html $(SIMULATED)/$${pair/:/-}-$$requests.html; \
	done; done | tee $(SIMULATED)/tables.txt

.PHONY: golden
golden: tools ## rewrite all golden files; review the difference like code
	$(WITH_TOOLS) UPDATE_GOLDEN=1 INSTA_UPDATE=always INSTA_FORCE_PASS=1 $(CARGO) test --locked $(TESTED)

.PHONY: doc
doc: ## the documentation of the source, private items too
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked $(TESTED) --no-deps --document-private-items

.PHONY: deny
deny: python ## licences, bans and sources of all dependencies
	$(WITH_TOOLS) $(CARGO) deny --locked check --hide-inclusion-graph bans licenses sources

.PHONY: advisories
advisories: python ## known vulnerabilities of all dependencies (asks the internet)
	$(WITH_TOOLS) $(CARGO) deny --locked check advisories

.PHONY: e2e
e2e: $(if $(RUNNER_FLEET_BIN),,native) ## the lab: the native binary or RUNNER_FLEET_BIN, an EC2 emulator, real workers in containers (needs root)
	tests/lab/run

.PHONY: bench
bench: python ## the budgets of docs/performance.md; the manager process itself needs root
	CRITERION_HOME="$(CURDIR)/target/criterion" $(CARGO) bench --locked --package runner-fleet-benches --bench engine --bench simulator
	@if [[ $$(id -u) -eq 0 ]]; then \
		$(CARGO) build --locked --release --package runner-fleet --bin runner-fleet --example workers; \
		benches/manager/run; \
	else echo "the manager process was not measured: that needs root (try: sudo make bench)"; fi

# Regions whose on-demand prices are built in.
REGIONS ?= us-east-1 us-east-2 us-west-1 us-west-2 ca-central-1 eu-central-1 eu-north-1 eu-west-1 eu-west-2 eu-west-3 \
	ap-northeast-1 ap-south-1 ap-southeast-1 ap-southeast-2 sa-east-1 us-gov-east-1 us-gov-west-1

.PHONY: forecast-table
forecast-table: ## the table of docs/forecast.md: idle_count = "auto" against fixed numbers (minutes; WORKLOAD=storm for one)
	$(CARGO) run --profile soak $(SIM) --bin forecast-table -- "$(WORKLOAD)"

.PHONY: prices
prices: ## rewrite the table of on-demand prices from AWS's public price lists (some 300 MB per region)
	packaging/on-demand-prices $(REGIONS) > crates/fleet/src/aws/on_demand_prices.csv.new
	mv crates/fleet/src/aws/on_demand_prices.csv.new crates/fleet/src/aws/on_demand_prices.csv

.PHONY: native
native: ## an optimised build for this machine alone (what ships: make release)
	$(CARGO) build --locked --release

.PHONY: check
check: lint doc test ## everything that gates a change, but the lab

# What ships, each in a file of its own: packages, the Terraform module, the bare machine.
include $(wildcard mk/*.mk)

.PHONY: clean
clean: ## remove what was built
	$(CARGO) clean
