"""The page in a real browser: what it says, whom it lets in, and what it looks like."""

import json

import pytest
from conftest import TARGET
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import states


@pytest.mark.parametrize("name", states.STATES)
def test_every_state_is_shown_without_a_complaint(browser, name):
    browser.open(name)
    browser.picture(name)
    assert browser.complaints() == []
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth"), "it is wider than the window"
    browser.open(name, width=360, height=740)
    assert browser.run("document.documentElement.scrollWidth") <= 360
    browser.picture(f"{name}-phone")
    assert browser.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["breaker", "booting", "unknown"])
def test_nobody_is_shut_out(browser, name, dark):
    browser.open(name, dark=dark)
    if dark:
        browser.picture(f"{name}-dark")
    # The policy lets no script in but the page's own; what the driver runs is not under it.
    browser.driver.execute_script((TARGET / "axe.min.js").read_text())
    found = browser.driver.execute_async_script(
        "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations))")
    told = [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found]
    assert told == []


def test_the_verdict_comes_first(browser):
    browser.open("breaker")
    assert browser.text("#verdict-title") == "✖ 2 troubles, the worst first"
    first = browser.text("#troubles li:first-child")
    assert "spot launches nothing: 4 boots failed" in first and "4 jobs wait, for 12 min" in first
    assert "What to do: Look at the security group" in first
    commands = browser.run("[...document.querySelectorAll('#troubles li:first-child code')].map(c => c.innerText)")
    assert commands == ["runner-fleet doctor --runner spot", "runner-fleet retry spot"]
    assert browser.driver.title == "(!) 5 waiting – ci"
    assert browser.open("well").text("#verdict-title") == "✓ All is well"
    assert browser.driver.title == "0 waiting – ci"
    assert browser.open("gitlab-down").driver.title == "(!) ? waiting – ci"


def test_the_verdict_is_said_when_it_changes_and_only_then(browser):
    browser.open("breaker")
    browser.run("window.said = 0, new MutationObserver(() => window.said++).observe(document.getElementById('said'), {childList: true, characterData: true, subtree: true})")
    for second in (2, 4):
        later = states.breaker()
        for one in later["verdict"]["troubles"]:
            one["reason"]["text"] += f", {second} s"
        later["at"] = states.time(-second)
        browser.service.state = later
        browser.until(lambda: f"{second} s" in browser.text("#troubles"))
    assert browser.run("window.said") == 0
    browser.service.state = states.all_well()
    browser.until(lambda: browser.run("document.getElementById('said').textContent") == "All is well.")
    live = browser.run("[...document.querySelectorAll('[aria-live], [role=status], [role=alert]')].map(e => e.id)")
    assert live == ["said"], "nothing else interrupts a reader"


def test_jobs_wait_by_reason(browser):
    browser.open("booting")
    rows = browser.rows("#waiting")
    assert len(rows) == 1
    assert rows[0][0] == "6" and rows[0][2] == "spot" and rows[0][3].startswith("the first waits for i-")
    rows = browser.open("breaker").rows("#waiting")
    assert [row[0] for row in rows] == ["4", "1"]
    assert rows[1][2:4] == ["none of ours", "no runner here has the tag gpu"]
    browser.open("thousand")
    assert [row[0] for row in browser.rows("#waiting")] == ["1000", "9000"]


def test_what_is_not_known_is_no_zero(browser):
    tiles = lambda: browser.run("Object.fromEntries([...document.querySelectorAll('#tiles div')].map(d => [d.querySelector('dt').innerText, d.querySelector('b').innerText]))")
    browser.open("unknown")
    assert tiles()["jobs waiting"] == tiles()["workers"] == tiles()["jobs running"] == tiles()["unreachable"] == "?"
    assert browser.rows("#waiting")[0][0].startswith("Whether jobs wait is not known")
    assert browser.rows("#workers")[0][0].startswith("The workers are not known")
    assert browser.rows("#runners")[0][1] == "?"
    browser.open("gitlab-down")
    assert browser.rows("#waiting") == [["Whether jobs wait is not known: a queue cannot be read. When it was read last, 7 waited."]]
    browser.open("well")
    assert tiles()["jobs waiting"] == "0" and tiles()["jobs running"] == "12"
    assert browser.rows("#waiting")[0][0] == "No job waits."


def test_an_unpriced_fleet_costs_no_zero(browser):
    browser.open("well")
    unpriced = states.all_well()
    unpriced["costs"] = {"usd_per_hour": 0.0, "unpriced_workers": 14, "usd_per_hour_at_most": 1.12}
    browser.service.state = unpriced
    browser.until(lambda: "≤ $1.12" in browser.text("#tiles"))


def test_today_and_the_month_are_told_beside_on_demand(browser):
    tiles = lambda: browser.run("Object.fromEntries([...document.querySelectorAll('#tiles div')].map(d => [d.querySelector('dt').innerText, [...d.querySelectorAll('dd *:not(svg, path)')].map(e => e.innerText)]))")
    browser.open("well")
    assert tiles()["today (UTC)"] == ["$4.10", "58 % below on demand"]
    assert tiles()["this month"] == ["$31.20", "55 % below on demand"]
    later = states.all_well()
    later["ledger"] |= {"since": states.time(3600), "today_total": None,
                        "month_total": states.spent(2.0, -0.02, usd_at_most=3.5)}
    browser.service.state = later
    browser.until(lambda: tiles()["today (UTC)"] == ["?", "not known yet"])
    assert tiles()["this month"] == ["$2.00", "2 % above on demand, at most $3.50, since Mar 2"]


def test_jobs_and_projects_are_links(browser):
    links = lambda: browser.run("[...document.querySelectorAll('#waiting td.names > div > a')].map(a => [a.innerText, a.getAttribute('href'), a.rel])")
    browser.open("breaker")
    host = "https://gitlab.example.com/acme/p0"
    assert links()[:2] == [["rspec #7500", host + "/-/jobs/7500", "noopener noreferrer"], ["acme/p0", host, "noopener noreferrer"]]
    later = states.breaker()
    later["jobs"] = [states.job(0, url="javascript:alert(1)//-/jobs/1"), states.job(1, url=None, project_path=None)]
    browser.service.state = later
    browser.until(lambda: links() == [])
    assert "rspec #7500 of acme/p0, lint #7501 of project 41" in browser.text("#waiting")


def test_names_with_markup_are_text(browser):
    browser.open("thousand")
    browser.driver.find_element(By.CSS_SELECTOR, "#waiting summary").click()
    assert states.LONG in browser.text("#waiting")
    assert browser.count("#waiting b, #waiting i, #events i") == 0


def test_a_thousand_workers_without_a_hitch(browser):
    browser.open("thousand")
    assert len(browser.rows("#workers")) == 250
    browser.driver.find_element(By.ID, "workers-more").click()
    browser.until(lambda: len(browser.rows("#workers")) == 1000)
    # A refresh in which one worker has changed touches the row of that worker and no other.
    browser.run("window.touched = 0, new MutationObserver(all => window.touched += all.length).observe(document.querySelector('#workers tbody'), {childList: true, subtree: true})")
    changed = states.thousand()
    changed["workers"][500]["age_seconds"] += 60
    browser.service.state = changed
    asked = len(browser.service.asked)
    browser.until(lambda: sum("state" in path for path in browser.service.asked[asked:]) >= 3)
    assert browser.run("window.touched") == 1


def test_workers_are_filtered_and_sorted(browser):
    browser.open("thousand")
    words = browser.driver.find_element(By.ID, "worker-words")
    words.send_keys("#7007")
    browser.until(lambda: len(browser.rows("#workers")) == 0 or browser.text("#workers-note") != "")
    words.clear()
    words.send_keys("c8g draining")
    browser.until(lambda: browser.text("#workers-note") != "")
    rows = browser.rows("#workers")
    assert rows and all(row[2] == "draining" and row[6] == "c8g.large" for row in rows)
    words.clear()
    words.send_keys(Keys.SPACE)
    age = browser.driver.find_element(By.XPATH, "//table[@id='workers']//button[.='Age']")
    age.click()
    assert browser.rows("#workers")[0][0] == "i-" + f"{999:017x}"
    assert browser.run("document.querySelector('#workers [aria-sort]').getAttribute('aria-sort')") == "descending"
    age.click()
    assert browser.rows("#workers")[0][0] in ("i-" + f"{0:017x}", "i-" + f"{8:017x}")


def test_focus_and_open_lists_survive_a_refresh(browser):
    browser.open("booting")
    browser.driver.find_element(By.CSS_SELECTOR, "#waiting summary").click()
    words = browser.driver.find_element(By.ID, "worker-words")
    words.send_keys("i-")
    later = states.boots()
    later["at"] = states.time(-2)
    later["workers"][3]["age_seconds"] += 2
    browser.service.state = later
    asked = len(browser.service.asked)
    browser.until(lambda: sum("state" in path for path in browser.service.asked[asked:]) >= 3)
    assert browser.run("document.activeElement.id") == "worker-words"
    assert browser.run("document.querySelector('#waiting details').open")


def test_everything_is_reached_by_keyboard_in_order(browser):
    browser.open("thousand")
    reached = []
    for _ in range(40):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(browser.run("(e => e.id || e.name || e.tagName + ' ' + e.innerText)(document.activeElement)"))
    wanted = ["range", "worker-words", "worker-state", "workers-more", "event-runner", "event-worker", "event-job", "event-kind", "events-more"]
    places = [reached.index(one) for one in wanted]
    assert places == sorted(places)
    assert "BUTTON Age" in reached


def test_the_past_is_asked_for_as_far_back_as_wanted(browser):
    browser.open("well")
    labels = browser.run("[...document.querySelectorAll('#plots svg.plot')].map(s => s.getAttribute('aria-label'))")
    assert [label.split(",")[0] for label in labels] == ["Job slots", "How long jobs waited", "Dollars an hour"]
    assert "promised 30 s" in browser.run("document.querySelectorAll('#plots svg.plot')[1].textContent")
    gap = browser.run("document.querySelector('#plots svg.plot path.paid').getAttribute('d').split('M').length - 1")
    assert gap == 2, "a line is not drawn through time of which nothing is known"
    browser.driver.find_element(By.CSS_SELECTOR, "#ranges label:last-child").click()
    browser.until(lambda: any("from=7d" in path for path in browser.service.asked))
    browser.until(lambda: "Feb" in browser.run("document.querySelector('#plots svg.plot').textContent"))
    browser.picture("week")


def test_events_are_filtered_by_the_service(browser):
    browser.open("well")
    kind = browser.driver.find_element(By.ID, "event-kind")
    kind.send_keys("boot failed")
    browser.until(lambda: all(row[1] == "boot failed" for row in browser.rows("#events")))
    assert "CET" in browser.rows("#events")[0][0] or "GMT+1" in browser.rows("#events")[0][0], "times have a zone"
    browser.driver.find_element(By.ID, "event-job").send_keys("seven")
    browser.until(lambda: browser.rows("#events")[0][0] == "`job` is a number")


def test_a_service_that_is_silent_is_told(browser):
    browser.open("well")
    browser.service.is_silent = True
    browser.until(lambda: browser.text("#verdict-title") == "✖ No answer from the service")
    assert "what is shown below is of" in browser.text("#troubles")
    assert browser.driver.title == "(!) no answer – runner-fleet"
    browser.service.is_silent = False
    browser.until(lambda: browser.text("#verdict-title") == "✓ All is well")


def test_a_simulation_says_so(browser):
    browser.open("well")
    assert not browser.driver.find_element(By.ID, "simulated").is_displayed()
    browser.service.about_changes = {"simulated": True}
    browser.driver.refresh()
    browser.until(lambda: browser.driver.find_element(By.ID, "simulated").is_displayed())


def test_nothing_is_loaded_from_elsewhere(browser):
    browser.open("well")
    loaded = browser.run("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded and all(url.startswith(browser.service.url) or url.startswith("data:") for url in loaded)
    assert "default-src 'none'" in __import__("server").policy()


def test_the_page_of_the_real_program(browser, demo):
    browser.open(url=demo)
    browser.until(lambda: browser.count("#workers tbody td") > 1)
    browser.picture("demo")
    assert browser.complaints() == []
    assert browser.driver.find_element(By.ID, "simulated").is_displayed()
    # What the canned answers are made of is what the program sends.
    real = browser.run("fetch('/api/v1/state').then(answer => answer.json())")
    canned = json.loads(json.dumps(states.breaker()))
    canned["workers"] = states.boots()["workers"]
    shapes = [("state", real, canned), ("runners", real["runners"][0], canned["runners"][0]), ("waiting", real["waiting"], canned["waiting"])]
    shapes += [(key, real[key][0], canned[key][0]) for key in ("workers", "jobs") if real[key]]
    for name, theirs, ours in shapes:
        made_up = set(ours) - set(theirs) - {"verdict", "promise"}
        assert made_up == set(), f"{name} of the program has no {made_up}"
