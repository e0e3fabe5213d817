# The bare machine: a Debian 12 with a C compiler, make, Python and rustup's toolchain, and nothing else.

.PHONY: bare
bare: ## the README's two commands on a bare machine (a chroot; needs root), as after a clone
	tests/bare/run --fresh bash -euxc 'cargo run -- demo; make test'
	@rm -rf .lab/bare/fresh
