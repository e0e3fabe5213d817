# The pipelines of GitLab and GitHub, and the other files that only a server reads.

.PHONY: pipelines
pipelines: ## lint .gitlab-ci.yml, .github/ and renovate.json: schemas, actionlint, zizmor, nothing but make targets
	@tests/pipelines/run
