"""The stand-in's docker executor finds credentials as gitlab-runner does (helpers/docker/auth/auth.go)."""

import base64
import json
import pathlib
import sys

import pytest

from aws.names import Names

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "files"))

from docker_executor import host_of, resolve

HOST, OTHER = "123456789012.dkr.ecr.eu-central-1.amazonaws.com", "registry.gitlab.example"


def stored(user: str) -> dict[str, str]:
    """An entry of `auths`."""
    return {"auth": base64.b64encode(f"{user}:secret".encode()).decode()}


@pytest.fixture
def home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A home whose Docker configuration names a helper for ECR and has a login elsewhere; the helper answers."""
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"credHelpers": {HOST: "ecr-login"}, "auths": {OTHER: stored("home"), HOST: stored("old")}}))
    helper(tmp_path, 'read -r host; printf \'{"ServerURL":"%s","Username":"AWS","Secret":"token"}\' "$host"')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def helper(home: pathlib.Path, script: str) -> None:
    """Replaces the helper."""
    (home / "docker-credential-ecr-login").write_text(f"#!/bin/sh\n{script}\n")
    (home / "docker-credential-ecr-login").chmod(0o755)


def user_of(image: str, variables: dict[str, str] | None = None, credentials: list[dict[str, str]] | None = None) -> tuple[str | None, str | None]:
    """(source, user)."""
    source, entry = resolve(image, variables or {}, credentials or [], lambda _: None)
    return source, entry.get("username")


def test_the_helper_counts_before_what_is_stored(home: pathlib.Path) -> None:
    """For its host; others have what is stored for them."""
    file = str(home / ".docker/config.json")
    assert user_of(f"{HOST}/team/app:1") == (file, "AWS")
    assert user_of(f"{OTHER}/a/b") == (file, "home")
    assert user_of("elsewhere.example/a:1")[1] is None


def test_order_of_the_sources(home: pathlib.Path) -> None:
    """The variable, the home, the job's own; the longest path counts."""
    job = [{"type": "registry", "url": OTHER, "username": "job", "password": "x"}]
    variable = {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {OTHER: stored("variable"), f"{HOST}/team": stored("team")}})}
    assert user_of(f"{OTHER}/a:1", {}, job)[1] == "home"
    assert user_of(f"{OTHER}/a:1", variable, job)[1] == "variable"
    assert user_of(f"{HOST}/team/app:1", variable)[1] == "team"
    assert user_of(f"{HOST}/other/app:1", variable)[1] == "AWS"


def test_failures_of_the_helper(home: pathlib.Path) -> None:
    """Its own "not found" costs one host its login; anything else silently costs the whole file."""
    helper(home, "echo credentials not found in native keychain; exit 1")
    assert user_of(f"{HOST}/a:1")[1] is None
    assert user_of(f"{OTHER}/a:1")[1] == "home"
    helper(home, "echo crashed; exit 2")
    assert user_of(f"{OTHER}/a:1") == (None, None)
    (home / "docker-credential-ecr-login").unlink()
    assert user_of(f"{OTHER}/a:1") == (None, None)


def test_hosts_of_images() -> None:
    """Without a registry's host an image is one of Docker Hub's."""
    assert [host_of(image) for image in ("alpine:3", "library/alpine", f"{HOST}/a/b:1", "localhost/a", "host:5000/a")] == ["", "", HOST, "localhost", "host:5000"]


def test_names() -> None:
    """Exact names, suffixes, and the rest that does not exist."""
    names = Names.__new__(Names)
    names.table = {"a.example": "192.0.2.1", ".example": "192.0.2.2"}
    assert [names.lookup(name) for name in ("A.example.", "b.example", "example.org")] == ["192.0.2.1", "192.0.2.2", None]
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01"
    assert names.answer(query).endswith(bytes([192, 0, 2, 1]))
    assert names.answer(query.replace(b"\x07example", b"\x07nowhere"))[3] & 0x0F == 3
