"""Serves the page's real files with the real headers, and canned answers behind them."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import states

HTTP = Path(__file__).parents[2] / "crates/fleet/src/http"
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
SPANS = {"1h": 3600, "6h": 6 * 3600, "24h": 86400, "7d": 7 * 86400}


def policy():
    """As the program sends it."""
    literal = re.search(r'POLICY: &str = "((?:[^"])*)"', (HTTP / "page.rs").read_text())[1]
    return re.sub(r"\\\n\s*", "", literal)


class Service:
    def __init__(self):
        self.state, self.about_changes, self.asked, self.is_silent = states.all_well(), {}, [], False
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                service.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        address = urlsplit(handler.path)
        question = dict(parse_qsl(address.query))
        self.asked.append(handler.path)
        name = address.path.removeprefix("/page/") if address.path != "/" else "index.html"
        file = HTTP / "page" / name
        if address.path.startswith("/api/") and self.is_silent:
            body, kind, status = b"it stops", "text/plain", 503
        elif address.path.startswith("/api/"):
            body, kind, status = self.api(address.path, question)
        elif file.parent == HTTP / "page" and file.is_file():
            body, kind, status = file.read_bytes(), KINDS[name.rsplit(".")[-1]], 200
        else:
            body, kind, status = b"no such page", "text/plain", 404
        handler.send_response(status)
        handler.send_header("Content-Type", kind + "; charset=utf-8")
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Content-Security-Policy", policy())
        handler.send_header("X-Content-Type-Options", "nosniff")
        handler.send_header("Cache-Control", "no-store")
        handler.end_headers()
        handler.wfile.write(body)

    def api(self, path, question):
        if question.get("job", "1").isdigit() is False:
            return b"`job` is a number\n", "text/plain", 400
        answer = {
            "/api/v1/state": lambda: self.state,
            "/api/v1/about": lambda: {"version": 1, "program": "0.1.0", "manager": "ci", "simulated": False,
                                      "started_at": states.time(3 * 86400 + 4000)} | self.about_changes,
            "/api/v1/history": lambda: states.history(SPANS[question["from"]], int(question["step"])),
            "/api/v1/events": lambda: states.events(question),
        }[path]()
        return json.dumps(answer).encode(), "application/json", 200
