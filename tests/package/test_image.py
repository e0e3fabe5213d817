"""The OCI image: what it says of itself for both architectures, and that the x86-64 one runs with nothing but itself."""

import hashlib
import json
import pathlib
import ssl
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import packages
import pytest

pytestmark = pytest.mark.skipif(not packages.BOTH, reason=packages.NOT_BOTH)

USER = "65532:65532"


class Layout:
    """An archive with an OCI layout."""

    def __init__(self, path: pathlib.Path) -> None:
        """Reads it; `images` are the manifests by architecture."""
        self.tar = tarfile.open(path)  # noqa: SIM115
        assert json.loads(self.file("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
        (self.entry,) = json.loads(self.file("index.json"))["manifests"]
        self.images = {item["platform"]["architecture"]: item for item in self.blob(self.entry)["manifests"]}

    def file(self, name: str) -> bytes:
        """A file of the archive."""
        return self.tar.extractfile(name).read()  # type: ignore[union-attr]

    def raw(self, descriptor: dict[str, Any]) -> bytes:
        """A blob, which must be what its descriptor says."""
        data = self.file("blobs/" + descriptor["digest"].replace(":", "/"))
        assert len(data) == descriptor["size"]
        assert "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"]
        return data

    def blob(self, descriptor: dict[str, Any]) -> Any:
        """A blob that is JSON."""
        return json.loads(self.raw(descriptor))

    def config(self, arch: str) -> Any:
        """The configuration of an image."""
        return self.blob(self.blob(self.images[arch])["config"])


@pytest.fixture(scope="module")
def layout() -> Layout:
    """The image under test."""
    return Layout(packages.image())


@pytest.fixture(scope="module")
def root(layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pathlib.Path]:
    """The x86-64 image, unpacked as a container's root."""
    root = tmp_path_factory.mktemp("image")
    for layer in layout.blob(layout.images["amd64"])["layers"]:
        (root / "layer").write_bytes(layout.raw(layer))
        packages.run("tar", "--extract", "--numeric-owner", "--same-permissions", "--file", root / "layer", "--directory", root)
        (root / "layer").unlink()
    root.chmod(0o755)
    yield root


def inside(root: pathlib.Path, *arguments: str, check: bool = True) -> str:
    """Runs the image's program as the image's user; both of its outputs."""
    return packages.run("sh", "-c", 'exec env -i AWS_REGION=eu-central-1 "$@" 2>&1', "-", "/usr/sbin/chroot", f"--userspec={USER}", root, "/usr/bin/runner-fleet", *arguments, check=check)


@pytest.mark.parametrize("arch", packages.ARCHS)
def test_what_it_says_of_itself(layout: Layout, arch: str) -> None:
    """Not root, `run` by default, and nothing that was not asked for."""
    config = layout.config(arch)
    assert (config["os"], config["architecture"]) == ("linux", arch)
    said = config["config"]
    assert (said["User"], said["Entrypoint"], said["Cmd"]) == (USER, ["/usr/bin/runner-fleet"], ["run"])
    assert list(said["Volumes"]) == ["/var/lib/runner-fleet"]
    assert said["Labels"]["org.opencontainers.image.version"] == packages.VERSION
    assert layout.entry["annotations"]["org.opencontainers.image.ref.name"] == packages.VERSION


@pytest.mark.parametrize("arch", packages.ARCHS)
def test_its_binary_is_that_of_the_packages(layout: Layout, arch: str, tmp_path: pathlib.Path) -> None:
    """Each architecture has its own, and a C library of that architecture."""
    (layer,) = layout.blob(layout.images[arch])["layers"]
    (tmp_path / "layer").write_bytes(layout.raw(layer))
    with tarfile.open(tmp_path / "layer") as tar:
        names = tar.getnames()
        binary = tar.extractfile("./usr/bin/runner-fleet").read()  # type: ignore[union-attr]
        libc = tar.extractfile(f"./lib/{packages.RPM_ARCH[arch]}-linux-gnu/libc.so.6").read()  # type: ignore[union-attr]
    assert binary == (packages.BIN / f"runner-fleet-{arch}").read_bytes()
    assert int.from_bytes(libc[18:20], "little") == {"amd64": 62, "arm64": 183}[arch], "another machine's libc"
    assert [name for name in names if name.startswith(("./usr/bin/", "./bin/", "./usr/sbin/", "./sbin/"))] == ["./usr/bin/runner-fleet"]


def test_it_runs(root: pathlib.Path) -> None:
    """As its user, with what is in it and nothing else."""
    assert inside(root, "--version").startswith(f"runner-fleet {packages.VERSION}")
    config = root / "etc/runner-fleet/config.toml"
    config.write_bytes((packages.ROOT / "config/minimal.toml").read_bytes())
    config.chmod(0o644)
    inside(root, "check")
    assert (root / "var/lib/runner-fleet").stat().st_uid == (root / "run/runner-fleet").stat().st_uid == 65532


def test_it_trusts_the_usual_authorities(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The bundle has Mozilla's authorities, and it is the one that the program looks into: a server is refused because nobody
    there signed for it, and taken once its authority stands in the bundle."""
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    assert len(ssl.create_default_context(cafile=str(bundle)).get_ca_certs()) > 100
    certificate, key = self_signed(tmp_path)
    port = serve(certificate, key)
    (root / "etc/runner-fleet/config.toml").write_text((packages.ROOT / "config/minimal.toml").read_text().replace("https://gitlab.example.com", f"https://localhost:{port}")
                                                       .replace('"ssm:/ci/runner-token"', '"glrt-x"').replace('"ssm:/ci/read-api-token"', '"glpat-x"'))
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    ask = ("record", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z", "--output", "/tmp/jobs.json")
    assert "certificate" in inside(root, *ask, check=False)
    with bundle.open("a") as file:
        file.write(certificate.read_text())
    said = inside(root, *ask, check=False)
    assert "HTTP 503" in said, said


def self_signed(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A certificate for localhost that nobody knows, and its key."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    packages.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                 "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate)
    return certificate, key


def serve(certificate: pathlib.Path, key: pathlib.Path) -> int:
    """A TLS server that answers everything with 503, for as long as the tests run; its port."""

    class Unwell(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(503)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Unwell)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]
