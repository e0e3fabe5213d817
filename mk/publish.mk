# Releases: signed, verified as a user would, uploaded, fetched back, shown. docs/releases.md tells how.

TO ?=
DRY_RUN ?=
# The packages with their SHA256SUMS, as `make package` leaves them.
RELEASE_DIR ?= target/package
RELEASE := DRY_RUN='$(DRY_RUN)' RELEASE_DIR='$(abspath $(RELEASE_DIR))' packaging/publish

.PHONY: publish
publish: ## sign the packages and publish them (TO=gitlab|github RELEASE_TAG=v0.1.0 DRY_RUN=1); the key by a variable
	@$(RELEASE)/publish.sh $(TO)

.PHONY: sign
sign: ## sign the packages' SHA256SUMS with the key that RELEASE_KEY_FILE or RELEASE_KEY gives
	@$(RELEASE)/sign.sh

.PHONY: verify-release
verify-release: ## whether RELEASE_DIR is signed by an allowed signer, and every file is the one that was signed
	@$(RELEASE)/verify.sh

.PHONY: publish-test
publish-test: ## publishing for real, with a throw-away key, to doubles of GitLab and GitHub
	@tests/publish/run
