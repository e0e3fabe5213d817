"""Puts an image into a registry without a Docker daemon: blobs and a manifest over the registry's API."""

import base64
import hashlib
import http.client
import json
import pathlib
import platform
import ssl
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Uploader:
    """One registry, with a login."""

    def __init__(self, address: str, authority: pathlib.Path, login: tuple[str, str]) -> None:
        """Connects when it is needed."""
        context = ssl.create_default_context(cafile=str(authority / "ca.crt"))
        # By address; the name is only known inside of the lab.
        context.check_hostname = False
        self._connection = http.client.HTTPSConnection(address, 443, context=context, timeout=60)
        self._login = "Basic " + base64.b64encode(":".join(login).encode()).decode()

    def push(self, layers: pathlib.Path, layer: str, repository: str, tag: str, **config: Any) -> None:
        """`layer` is a name in the folder that `ecr.sh jobs` made; `config` is what a Dockerfile says: Cmd, Entrypoint, User, …"""
        raw = (layers / f"{layer}.tar.gz").read_bytes()
        diff_id = (layers / f"{layer}.diff-id").read_text().strip()
        document = {"architecture": _architecture(), "os": "linux", "config": config, "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
                    "history": [{"created": "2026-01-01T00:00:00Z"}], "created": "2026-01-01T00:00:00Z"}
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": self._blob(repository, json.dumps(document).encode(), CONFIG), "layers": [self._blob(repository, raw, LAYER)],
        }
        self._call("PUT", f"/v2/{repository}/manifests/{tag}", json.dumps(manifest).encode(), MANIFEST, 201)

    def _blob(self, repository: str, raw: bytes, kind: str) -> dict[str, Any]:
        digest = "sha256:" + hashlib.sha256(raw).hexdigest()
        place = self._call("POST", f"/v2/{repository}/blobs/uploads/", b"", "", 202)
        path = place.removeprefix("https://").partition("/")[2]
        self._call("PUT", f"/{path}{'&' if '?' in path else '?'}digest={digest}", raw, "application/octet-stream", 201)
        return {"mediaType": kind, "size": len(raw), "digest": digest}

    def _call(self, method: str, path: str, body: bytes, kind: str, wanted: int) -> str:
        self._connection.request(method, path, body, {"Authorization": self._login, "Content-Type": kind})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != wanted:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return answer.getheader("Location") or ""


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
