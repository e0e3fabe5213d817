"""Doubles of the servers that a release goes to: as much of GitLab's and GitHub's API as publishing uses."""

import http.server
import json
import re
import ssl
import threading

TOKEN = "job-token-never-in-argv"


class Handler(http.server.BaseHTTPRequestHandler):
    """Hands each request to the double that the server belongs to."""

    protocol_version = "HTTP/1.1"

    def _any(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.double.seen.append((self.command, self.path))
        status, headers, answer = self.server.double.answer(self.command, self.path, self.headers, body)
        if not isinstance(answer, bytes):
            answer = json.dumps(answer).encode()
            headers = {"Content-Type": "application/json", **headers}
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

    def log_message(self, *_):
        """Tests read what was seen from the double."""


class Double:
    """A server in a thread of its own, until closed."""

    def __init__(self, certificate=None):
        self.seen = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.double = self
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class ObjectStore(Double):
    """Where GitLab sends those who fetch a file; a token has no business here."""

    def __init__(self):
        super().__init__()
        self.files = {}
        self.saw_a_token = False

    def answer(self, _method, path, headers, _body):
        self.saw_a_token |= "JOB-TOKEN" in headers
        return 200, {}, self.files[path.rsplit("/", 1)[1]]


class GitLab(Double):
    """Generic packages and releases of project 7."""

    def __init__(self):
        super().__init__()
        self.store = ObjectStore()
        self.releases = {}
        self.refuses = None
        self.spoils = None

    def close(self):
        self.store.close()
        super().close()

    def answer(self, method, path, headers, body):
        if headers.get("JOB-TOKEN") != TOKEN:
            return 401, {}, {"message": "401 Unauthorized"}
        file = re.fullmatch(r"/api/v4/projects/7/packages/generic/runner-fleet/0\.1\.0/([^/]+)", path)
        release = re.fullmatch(r"/api/v4/projects/7/releases/([^/]+)", path)
        if file and method == "PUT":
            return self._put(file[1], body)
        if file and method == "GET":
            return 302, {"Location": f"http://{self.store.address}/bucket/{file[1]}"}, b""
        if release and method == "GET":
            found = self.releases.get(release[1])
            return (200, {}, found) if found else (404, {}, {"message": "404 Not Found"})
        if path == "/api/v4/projects/7/releases" and method == "POST":
            self.releases[json.loads(body)["tag_name"]] = json.loads(body)
            return 201, {}, {}
        return 400, {}, {"message": f"the double does not know {method} {path}"}

    def _put(self, name, body):
        if name == self.refuses:
            return 403, {}, {"message": "403 Forbidden"}
        self.store.files[name] = b"another byte" + body if name == self.spoils else body
        return 201, {}, {"message": "201 Created"}


class GitHub(Double):
    """Releases of owner/repository, which has the tag v0.1.0; as gh asks an Enterprise server."""

    def __init__(self, certificate):
        super().__init__(certificate)
        self.releases = {}
        self.assets = {}
        self.spoils = None

    def leave(self, draft):
        """A release that is there already."""
        self.releases[1] = {"id": 1, "tag_name": "v0.1.0", "draft": draft, "assets": []}

    def answer(self, method, path, headers, body):
        if headers.get("Authorization") != f"token {TOKEN}":
            return 401, {}, {"message": "Bad credentials"}
        path, _, query = path.partition("?")
        if path == "/api/graphql":
            return 200, {}, {"data": {"repository": self._graphql(json.loads(body)["query"])}}
        for rule in (self._release, self._asset):
            answer = rule(method, path.removeprefix("/api/v3"), query, body)
            if answer:
                return answer
        return 400, {}, {"message": f"the double does not know {method} {path}"}

    def _graphql(self, query):
        if "ref(" in query:
            return {"ref": {"id": "REF"}}
        draft = next((one for one in self.releases.values() if one["draft"]), None)
        return {"release": {"databaseId": draft["id"], "isDraft": True} if draft else None}

    def _release(self, method, path, _query, body):
        base = "/repos/owner/repository/releases"
        if path == base and method == "GET":
            return 200, {}, list(self.releases.values())
        if path == base and method == "POST":
            number = len(self.releases) + 2
            self.releases[number] = {**json.loads(body), "id": number, "assets": []}
            return 201, {}, self._told(number)
        if path == f"{base}/tags/v0.1.0":
            public = next((one for one in self.releases.values() if not one["draft"]), None)
            return (200, {}, self._told(public["id"])) if public else (404, {}, {"message": "Not Found"})
        one = re.fullmatch(base + r"/(\d+)", path)
        if not one or int(one[1]) not in self.releases:
            return None
        number = int(one[1])
        if method == "DELETE":
            del self.releases[number]
            return 204, {}, b""
        if method == "PATCH":
            self.releases[number].update(json.loads(body))
        return 200, {}, self._told(number)

    def _told(self, number):
        url = f"https://{self.address}/api/v3/repos/owner/repository/releases/{number}"
        return {**self.releases[number], "url": url, "upload_url": f"{url}/assets{{?name,label}}", "html_url": url}

    def _asset(self, method, path, query, body):
        upload = re.fullmatch(r"/repos/owner/repository/releases/(\d+)/assets", path)
        if upload and method == "POST":
            name = re.search(r"name=([^&]+)", query)[1].replace("%2B", "+").replace("%7E", "~")
            url = f"https://{self.address}/api/v3/assets/{len(self.assets)}"
            self.assets[f"/assets/{len(self.assets)}"] = b"another byte" + body if name == self.spoils else body
            asset = {"name": name, "url": url, "size": len(body), "state": "uploaded"}
            self.releases[int(upload[1])]["assets"].append(asset)
            return 201, {}, asset
        if path in self.assets and method == "GET":
            return 200, {"Content-Type": "application/octet-stream"}, self.assets[path]
        return None
