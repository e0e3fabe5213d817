# The page in a real browser: Debian's chromium and chromedriver, driven by selenium; axe-core judges what a reader without
# eyes or a mouse meets. Pictures go to target/page/pictures.

PAGE := target/page/venv
AXE := 4.14.1

.PHONY: page
page: $(PAGE)/bin/pytest target/page/axe.min.js ## the dashboard in a real browser, with pictures in target/page/pictures (needs chromium and chromedriver)
	$(CARGO) build --locked --bin runner-fleet
	@mkdir -p target/page/pictures
	$(PAGE)/bin/pytest --quiet tests/page

$(PAGE)/bin/pytest: tests/page/requirements.txt
	rm -rf $(PAGE)
	python3 -m venv $(PAGE)
	$(PAGE)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

target/page/axe.min.js: mk/page.mk
	@mkdir -p $(@D)
	cd $(@D) && npm pack --silent axe-core@$(AXE) && tar -xzf axe-core-$(AXE).tgz package/axe.min.js
	@mv $(@D)/package/axe.min.js $@ && touch $@ && rm -r $(@D)/package $(@D)/axe-core-$(AXE).tgz
