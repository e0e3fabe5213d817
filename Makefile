# The one command surface: CI and the documentation call these targets and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# Warnings are denied here and not in the source or in RUSTFLAGS: those would build every dependency again.
DENY := -- -D warnings
# The EC2 emulator that the AWS tests talk to, installed on first use; the lab has it from the same environment.
VENV := .lab/venv
MOTO := $(VENV)/bin/moto_server
WITH_MOTO := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## a debug build
	$(CARGO) build --locked

.PHONY: demo
demo: ## the whole service against a simulated GitLab and EC2, in this terminal
	$(CARGO) run --locked -- demo

.PHONY: fmt
fmt: ## format the source
	$(CARGO) fmt

.PHONY: lint
lint: ## formatting, clippy, shell scripts; warnings are errors
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets $(DENY)
	@if command -v shellcheck >/dev/null; then \
		git ls-files -z '*.sh' ':!src/worker/files/docker-seed.sh' benches/manager/run tests/lab/run .ci/run packaging/verify-unit | xargs -0 -r shellcheck; \
		shellcheck --shell=sh src/worker/files/docker-seed.sh; \
	else echo "shellcheck is not installed: scripts were not checked"; fi
	@if command -v systemd-analyze >/dev/null; then packaging/verify-unit packaging/runner-fleet.service; fi

.PHONY: test
test: $(MOTO) ## all tests but the lab
	$(WITH_MOTO) $(CARGO) test --locked

SEEDS ?= 10000
FIRST ?= 0

.PHONY: soak
soak: ## many simulated worlds against the laws, on all cores (SEEDS=10000 FIRST=0)
	FIRST=$(FIRST) SEEDS=$(SEEDS) $(CARGO) test --locked --release --test it -- engine::worlds::no_law

WAIT ?= 30s
SIMULATED := target/simulations

.PHONY: simulations
simulations: release ## the table of docs/simulator.md: bundled workloads, everyone tuned to the same wait (WAIT=30s)
	@mkdir -p $(SIMULATED)
	@for workload in office-hours merge-trains nightly-bursts; do \
		target/release/runner-fleet simulate --config config/workloads/runner.toml --workload $$workload \
			--equal-wait $(WAIT) --compare docker+machine docker-autoscaler \
			--html $(SIMULATED)/$$workload-$(WAIT).html; \
	done | tee $(SIMULATED)/$(WAIT).txt

.PHONY: golden
golden: $(MOTO) ## rewrite all golden files; review the difference like code
	$(WITH_MOTO) INSTA_UPDATE=always INSTA_FORCE_PASS=1 $(CARGO) test --locked

.PHONY: doc
doc: ## the documentation of the source, private items too
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

.PHONY: deny
deny: ## licences, bans and sources of all dependencies
	$(CARGO) deny --locked check bans licenses sources

.PHONY: advisories
advisories: ## known vulnerabilities of all dependencies (asks the internet)
	$(CARGO) deny --locked check advisories

.PHONY: e2e
e2e: release ## the lab: the release binary, an EC2 emulator, real workers in containers (needs root)
	tests/lab/run

.PHONY: bench
bench: $(MOTO) ## the budgets of docs/performance.md; the manager process itself needs root
	$(CARGO) bench --locked
	@if [[ $$(id -u) -eq 0 ]]; then \
		$(CARGO) build --locked --release --bin runner-fleet --example workers; \
		benches/manager/run; \
	else echo "the manager process was not measured: that needs root (try: sudo make bench)"; fi

.PHONY: release
release: ## the binary that is installed
	$(CARGO) build --locked --release

.PHONY: check
check: lint doc test ## everything that gates a change, but the lab

$(MOTO): tests/lab/requirements.txt
	@RUNNER_FLEET_LAB_CACHE= tests/lab/setup python
	@touch $@

.PHONY: clean
clean: ## remove what was built
	$(CARGO) clean
