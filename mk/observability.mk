# What is shipped for Prometheus and Grafana.

RUNNER_FLEET_BIN ?=

.PHONY: boards
boards: ## grafana.json and alerts.yml: promtool, a real Prometheus that scrapes the demo, Grafana's own model
	@[[ -n "$(RUNNER_FLEET_BIN)" ]] || $(CARGO) build --locked
	@tests/boards/run "$(or $(RUNNER_FLEET_BIN),target/debug/runner-fleet)"
