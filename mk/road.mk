# The road from an empty account to the first job: documents whose commands are run as they stand.

ROAD := target/road/venv

.PHONY: road
road: python $(ROAD)/bin/aws ## the commands of docs/tutorial.md and docs/migration.md, against emulators
	$(CARGO) build --locked --bin runner-fleet
	$(VENV)/bin/pytest tests/road

# Compiled, unlike the lab's: the aws command is started a hundred times.
$(ROAD)/bin/aws: tests/road/requirements.txt
	rm -rf $(ROAD)
	python3 -m venv $(ROAD)
	$(ROAD)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@
