# The binaries that ship, for x86-64 and arm64, with what proves them and the list of what is in them.
# They come to target/dist/bin/runner-fleet-ARCH; mk/package.mk makes packages of them.

# The oldest glibc that they start on: Debian 10, RHEL 8, Amazon Linux 2023, Ubuntu 20.04.
GLIBC_FLOOR := 2.28
DIST := target/dist
DIST_PYTHON := $(DIST)/tools/bin/python
SHIPPED = $(IDENTITY) GLIBC_FLOOR=$(GLIBC_FLOOR)
HOLD_FLOOR := $(DIST_PYTHON) packaging/dist/floor.py $(GLIBC_FLOOR)
# What the arm64 binary depends on (config: its examples are part of it), and the commit to compare that with.
DIST_SOURCES := crates config Cargo.toml Cargo.lock rust-toolchain.toml packaging mk
BASE ?= $(shell git describe --tags --abbrev=0 2>/dev/null)

.PHONY: release
release: dist ## the same as dist

.PHONY: dist
dist: amd64-test arm64-test sbom ## everything that ships: both binaries, tried; the list of their crates; packages
	@$(MAKE) --no-print-directory package

.PHONY: dist-tools
dist-tools:
	@packaging/dist/tools

.PHONY: amd64
amd64: dist-tools ## the x86-64 binary that ships
	@$(SHIPPED) packaging/dist/build amd64
	@$(HOLD_FLOOR) $(DIST)/bin/runner-fleet-amd64

.PHONY: arm64
arm64: dist-tools ## the arm64 binary that ships, cross-compiled (WAY=toolchain|source|debian; says which it takes and why)
	@$(SHIPPED) WAY=$(WAY) packaging/dist/arm64
	@$(HOLD_FLOOR) $(DIST)/bin/runner-fleet-arm64

.PHONY: amd64-test
amd64-test: amd64 ## --version, check and a demo with the x86-64 binary
	@$(SHIPPED) packaging/dist/try amd64

.PHONY: arm64-test
arm64-test: arm64 ## the same with the arm64 binary, under qemu
	@$(SHIPPED) packaging/dist/try arm64

.PHONY: arm64-if-changed
arm64-if-changed: ## arm64-test, unless all that it depends on is as in BASE (a commit; default: the last tag)
	@if git diff --quiet "$(BASE)" -- $(DIST_SOURCES) 2>/dev/null; then \
		echo "arm64: not built, because $(DIST_SOURCES) are as in $(BASE)"; \
	else \
		echo "arm64: built, because $(if $(BASE),something it depends on is not as in $(BASE),there is no BASE to compare with)"; \
		$(MAKE) --no-print-directory arm64-test; \
	fi

.PHONY: floor
floor: dist-tools ## whether the binaries that are there start on the oldest glibc that is promised
	@$(HOLD_FLOOR) $(DIST)/bin/runner-fleet-*

.PHONY: sbom
sbom: dist-tools ## the list of all crates in the binaries (CycloneDX)
	@$(SHIPPED) packaging/dist/sbom

.PHONY: same-bytes
same-bytes: dist-tools ## whether two clones in different folders give the same binary (ARCH=amd64|arm64; twenty minutes each)
	@$(SHIPPED) packaging/dist/same-bytes $(or $(ARCH),amd64)
