# Releases: signed, verified as a user would, uploaded, fetched back, shown. docs/releases.md tells how.

TO ?=
DRY_RUN ?=

.PHONY: publish
publish: ## sign target/dist and publish it (TO=gitlab|github RELEASE_TAG=v0.1.0 DRY_RUN=1); the key by a variable
	@DRY_RUN="$(DRY_RUN)" packaging/publish/publish.sh $(TO)

.PHONY: sign
sign: ## sign target/dist/SHA256SUMS with the key that RELEASE_KEY_FILE or RELEASE_KEY gives
	@packaging/publish/sign.sh

.PHONY: verify-dist
verify-dist: ## whether target/dist is signed by an allowed signer, and every file is the one that was signed
	@packaging/publish/verify.sh

.PHONY: publish-test
publish-test: ## publishing for real, with a throw-away key, to doubles of GitLab and GitHub
	@tests/publish/run
