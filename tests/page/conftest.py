from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.support.ui import WebDriverWait

import states
from server import Service

TARGET = Path(__file__).parents[2] / "target/page"


class Browser:
    """A page that has been loaded, and what can be seen of it."""

    def __init__(self, driver, service):
        self.driver, self.service = driver, service

    def open(self, name=None, width=1280, height=1000, dark=False, url=None):
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        if name is not None:
            self.service.state = states.STATES[name]()
        self.service.is_silent, self.service.about_changes = False, {}
        self.driver.get(url or self.service.url)
        self.until(lambda: self.count("#plots svg.plot") == 3 and self.count("#events tbody tr") > 0)
        return self

    def until(self, is_so, seconds=20):
        WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(lambda _: is_so())

    def run(self, script, *arguments):
        return self.driver.execute_script("return " + script, *arguments)

    def count(self, selector):
        return self.run("document.querySelectorAll(arguments[0]).length", selector)

    def text(self, selector):
        return self.run("document.querySelector(arguments[0]).innerText", selector)

    def rows(self, table):
        return self.run("[...document.querySelectorAll(arguments[0] + ' tbody tr')].map(tr => [...tr.cells].map(td => td.innerText))", table)

    def complaints(self):
        """What the console says: errors of scripts, and of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def picture(self, name):
        import base64
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": False})
        whole = self.run("Math.min(document.documentElement.scrollHeight, 2600)")
        width = self.run("window.innerWidth")
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": width, "height": whole, "scale": 1}})
        path = TARGET / "pictures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@pytest.fixture(scope="session")
def driver():
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en-GB"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Driver("/usr/bin/chromedriver", env={"TZ": "Europe/Berlin", "PATH": "/usr/bin:/bin", "HOME": "/tmp"}))
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver):
    service = Service()
    yield Browser(driver, service)
    service.server.shutdown()


@pytest.fixture(scope="session")
def demo():
    """The address of the demo's page, while the demo runs."""
    import re
    import subprocess
    program = Path(__file__).parents[2] / "target/debug/runner-fleet"
    with subprocess.Popen([program, "demo", "--speed", "60"], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if found := re.search(r"http://[\d.:]+/", line):
                break
        yield found[0]
        process.kill()
