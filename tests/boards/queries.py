"""Every query of the board and every rule, against a real Prometheus that scrapes the real page of the demo.

A query fails that errs, that names a metric or a label which the page does not have, or that is empty although the demo has
something to show.
"""

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 60
# A morning of three hours in 18 s; scraped every second, that is a point for every ten minutes.
SPEED = 600
SCRAPES = 15
VARIABLES = {"$__rate_interval": "10s", "$job": ".*", "$instance": ".*", "$runner": ".*"}
# What the demo does not show: it has no API and no token that ends, and its trouble is over soon.
MAY_BE_EMPTY = re.compile(r"runner_fleet_(api_|failure|token_expires|held_back|forecast_slots|boots_failed|boot_step)")
# Labels that Prometheus itself adds.
SCRAPED = {"job", "instance", "le", "__name__"}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def until(what, happens):
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            found = happens()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(0.2)
    sys.exit(f"boards: {what} did not happen within {DEADLINE} s")


def documented():
    """Name to labels of every family, from docs/metrics.md; a histogram is three."""
    row = re.compile(r"^\| `(\w+)` \| (\w+) \| [^|]* \| ([^|]*) \|")
    families = {}
    for name, kind, labels in (match.groups() for match in map(row.match, (ROOT / "docs/metrics.md").open()) if match):
        suffixes = ["_bucket", "_sum", "_count"] if kind == "histogram" else [""]
        families |= {name + suffix: set(re.findall(r"\w+", labels)) for suffix in suffixes}
    return families


def unknown(expr, families):
    """What a query names and the page does not have."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"', '""', expr)
    names = set(re.findall(r"\b(?:runner_fleet|process)_\w+", bare))
    yield from (f"there is no metric {name}" for name in sorted(names - families.keys()))
    known = set().union(SCRAPED, *(families.get(name, set()) for name in names))
    for name, matchers in re.findall(r"\b((?:runner_fleet|process)_\w+)\{([^}]*)\}", bare):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        yield from (f"{name} has no label {label}" for label in sorted(labels - families.get(name, set()) - SCRAPED))
    for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", bare):
        yield from (f"nothing here has the label {label}" for label in sorted(set(re.findall(r"\w+", group)) - known))


def queries():
    """Title and query of every panel and variable of the board."""
    board = json.loads((ROOT / "packaging/grafana.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            expr = target["expr"]
            for variable, value in VARIABLES.items():
                expr = expr.replace(variable, value)
            yield panel["title"], expr
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            for name, value in VARIABLES.items():
                series = series.replace(name, value)
            yield f"variable {variable['name']}", f"count by ({label}) ({series})"


def ask(prometheus, expr, **over):
    """The answer and what is told beside it, of now, or of a range."""
    url = f"{prometheus}/api/v1/query{'_range' if over else ''}?" + urllib.parse.urlencode({"query": expr, **over})
    try:
        answer = json.loads(get(url))
    except urllib.error.HTTPError as error:
        return None, error.read().decode()
    return answer["data"]["result"], "; ".join(answer.get("warnings", []))


def examine(prometheus, families):
    wrong, count, now = [], 0, time.time()
    for title, expr in queries():
        count += 1
        # Of all that was scraped: what the demo shows now may be over.
        result, told = ask(prometheus, expr, start=now - DEADLINE, end=now, step=1)
        problems = list(unknown(expr, families)) + ([told] if told else [])
        if result == [] and not MAY_BE_EMPTY.search(expr):
            problems.append("the answer is empty")
        wrong += [f"{title}: {problem}: {expr}" for problem in problems]
    rules = [rule for group in json.loads(get(f"{prometheus}/api/v1/rules"))["data"]["groups"] for rule in group["rules"]]
    for rule in rules:
        problems = list(unknown(rule["query"], families))
        if rule["health"] != "ok":
            problems.append(f"{rule['health']} {rule.get('lastError', '')}")
        wrong += [f"alert {rule['name']}: {problem}" for problem in problems]
    if not rules:
        wrong.append("Prometheus has no rules")
    return wrong, count, len(rules)


def main():
    page, prometheus = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    families = documented()
    if not families:
        sys.exit("boards: docs/metrics.md has no table that can be read")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "prometheus.yml")
        config.write_text(
            json.dumps({
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(ROOT / "packaging/alerts.yml")],
                "scrape_configs": [{"job_name": "runner-fleet", "static_configs": [{"targets": [page]}]}],
            })
        )
        log = Path(folder, "log").open("w+")
        demo = [sys.argv[1], "demo", "--speed", str(SPEED), "--listen", page, "--keep-running", "--json"]
        server = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={prometheus}"]
        running = []
        try:
            for command in (demo, server):
                running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, cwd=folder))
            address = f"http://{prometheus}"
            enough = f"count_over_time(runner_fleet_last_step_timestamp_seconds[1m]) >= {SCRAPES}"
            until("a number of good scrapes", lambda: ask(address, enough)[0])
            until("an evaluation of the rules", lambda: json.loads(get(f"{address}/api/v1/rules"))["data"]["groups"])
            wrong, count, rules = examine(address, families)
            targets = json.loads(get(f"{address}/api/v1/targets"))["data"]["activeTargets"]
            wrong += [f"the scrape of {target['scrapeUrl']}: {target['lastError']}" for target in targets if target["lastError"]]
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(timeout=20)
        if wrong:
            log.seek(0)
            sys.exit("\n".join([*wrong, "", *log.readlines()[-5:]]))
    print(f"boards: {count} queries and {rules} rules, against a real Prometheus")


if __name__ == "__main__":
    main()
