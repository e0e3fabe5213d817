"""Certificates of the lab's own authority, for servers that are reached under the real names."""

import pathlib
import subprocess


def certificate(authority: pathlib.Path, folder: pathlib.Path, names: list[str]) -> tuple[pathlib.Path, pathlib.Path]:
    """A certificate for these names, with its key: (certificate, key)."""
    folder.mkdir(parents=True, exist_ok=True)
    key, request, signed, extensions = (folder / name for name in ("tls.key", "tls.csr", "tls.crt", "tls.ext"))
    extensions.write_text("extendedKeyUsage=serverAuth\nsubjectAltName=" + ",".join(f"DNS:{name}" for name in names) + "\n")
    _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=runner-fleet lab", "-keyout", str(key), "-out", str(request))
    _openssl("x509", "-req", "-in", str(request), "-CA", str(authority / "ca.crt"), "-CAkey", str(authority / "ca.key"), "-CAcreateserial", "-CAserial", str(folder / "ca.srl"),
             "-days", "30", "-extfile", str(extensions), "-out", str(signed))
    return signed, key


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.strip()}")
