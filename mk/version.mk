# What a binary and a package say of themselves, asked for in this one place: version, commit, the commit's date (UTC).
#
# In a checkout git tells them, with "-dirty" behind the commit where a tracked file differs from it. A source tree without
# git (an export) is told: make dist RUNNER_FLEET_COMMIT=0123456789ab SOURCE_DATE_EPOCH=1767225600

VERSION := $(shell sed -n '/^version = /{s/.*"\(.*\)".*/\1/p;q}' Cargo.toml)

# What a command says, asked when it is first needed, since the bare machine has no git, and then not again: a commit that
# comes during a build is not what was built.
once = $(eval $(1) := $$(shell $(2)))$($(1))

ifneq ($(wildcard .git),)
RUNNER_FLEET_COMMIT = $(call once,RUNNER_FLEET_COMMIT,git describe --always --dirty --abbrev=12 --exclude='*')
SOURCE_DATE_EPOCH = $(call once,SOURCE_DATE_EPOCH,git log -1 --format=%ct)
endif
RUNNER_FLEET_DATE = $(shell date --utc --date='@$(SOURCE_DATE_EPOCH)' +%F)

# Put before a command that builds what ships: `$(IDENTITY) packaging/dist/build amd64`. It is not exported to every recipe:
# a test build that knew the commit would be compiled anew after each.
IDENTITY = $(if $(and $(RUNNER_FLEET_COMMIT),$(SOURCE_DATE_EPOCH)),,$(error commit and date of this source tree are unknown: \
	give RUNNER_FLEET_COMMIT=0123456789ab and SOURCE_DATE_EPOCH=SECONDS))VERSION=$(VERSION) \
	RUNNER_FLEET_COMMIT=$(RUNNER_FLEET_COMMIT) RUNNER_FLEET_DATE=$(RUNNER_FLEET_DATE) SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH)
