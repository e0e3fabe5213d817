"""Publishing a release: what must come through does, and what must not is refused with one sentence."""

import glob
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import double

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEFT_BEHIND = "/dev/shm/runner-fleet-release.*"
TOOLS = ("curl", "gh", "ssh-keygen")
# What make and the tools need of the real environment.
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")

CHANGELOG = """## [Unreleased]
later

## [0.1.0] - 2026-12-01
- what is new

## [0.0.9]
old
"""


def keypair(folder, name):
    """A throw-away key; the line of allowed_signers for it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / name], check=True)
    public = (folder / f"{name}.pub").read_text().strip()
    return f'runner-fleet namespaces="runner-fleet-release" {public}\n'


class Release(unittest.TestCase):
    """A folder as `make dist` leaves it, a key, and its public half among the allowed signers."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="publish-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.dist = self.folder / "dist"
        self.dist.mkdir()
        for name in ("runner-fleet_0.1.0-1_arm64.deb", "runner-fleet-0.1.0-1.aarch64.rpm"):
            (self.dist / name).write_bytes(os.urandom(5000))
        (self.dist / "left-over.log").write_text("not listed\n")
        self.sum_up()
        (self.folder / "allowed_signers").write_text("# a comment\n" + keypair(self.folder, "key"))
        (self.folder / "CHANGELOG.md").write_text(CHANGELOG)
        self.environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {
            "RELEASE_DIR": str(self.dist),
            "RELEASE_SIGNERS": str(self.folder / "allowed_signers"),
            "RELEASE_CHANGELOG": str(self.folder / "CHANGELOG.md"),
            "RELEASE_TAG": "v0.1.0",
            "RELEASE_KEY_FILE": str(self.folder / "key"),
        }
        self.spy_on_arguments()

    def sum_up(self):
        names = [path.name for path in self.dist.iterdir() if path.suffix in (".deb", ".rpm")]
        sums = subprocess.run(["sha256sum", *names], cwd=self.dist, check=True, capture_output=True).stdout
        (self.dist / "SHA256SUMS").write_bytes(sums)

    def spy_on_arguments(self):
        """Each tool's arguments are written down, then the tool does what it always does."""
        spies = self.folder / "spies"
        spies.mkdir()
        for tool in filter(shutil.which, TOOLS):
            (spies / tool).write_text(
                f'#!/bin/sh\nprintf "%s\\n" {tool} "$@" >>{self.folder}/argv\nexec {shutil.which(tool)} "$@"\n'
            )
            (spies / tool).chmod(0o755)
        self.environment["PATH"] = f"{spies}:{self.environment['PATH']}"

    def make(self, *arguments):
        before = set(glob.glob(LEFT_BEHIND))
        ran = subprocess.run(
            ["make", "--no-print-directory", "-C", ROOT, *arguments],
            env=self.environment, text=True, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        self.assertEqual(set(glob.glob(LEFT_BEHIND)), before, "a folder with the key was left behind")
        return ran

    def succeeds(self, *arguments):
        ran = self.make(*arguments)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        return ran.stdout

    def refused(self, sentence, *arguments):
        ran = self.make(*arguments)
        self.assertNotEqual(ran.returncode, 0, ran.stdout)
        told = [line for line in ran.stderr.splitlines() if line.startswith("publish: ")]
        self.assertEqual(len(told), 1, ran.stderr)
        self.assertIn(sentence, told[0])

    def argv(self):
        return (self.folder / "argv").read_text()


class Signing(Release):
    def test_a_user_can_verify_with_ssh_keygen_and_sha256sum_alone(self):
        self.succeeds("sign")
        who = ["-f", self.environment["RELEASE_SIGNERS"], "-I", "runner-fleet", "-n", "runner-fleet-release"]
        subprocess.run(
            ["ssh-keygen", "-Y", "verify", *who, "-s", "SHA256SUMS.sig"],
            cwd=self.dist, input=(self.dist / "SHA256SUMS").read_bytes(), capture_output=True, check=True,
        )  # fmt: skip
        subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=self.dist, capture_output=True, check=True)
        self.succeeds("verify-release")

    def test_a_key_as_a_web_form_spoils_it_still_signs(self):
        del self.environment["RELEASE_KEY_FILE"]
        self.environment["RELEASE_KEY"] = (self.folder / "key").read_text().strip().replace("\n", "\r\n")
        self.succeeds("sign")
        self.succeeds("verify-release")
        self.assertNotIn("BEGIN OPENSSH", self.argv())

    def test_a_key_file_that_others_can_read_still_signs(self):
        (self.folder / "key").chmod(0o666)
        self.succeeds("sign")

    def test_no_key(self):
        del self.environment["RELEASE_KEY_FILE"]
        self.refused("there is no key to sign with", "sign")

    def test_a_key_file_that_is_not_there(self):
        self.environment["RELEASE_KEY_FILE"] = "/nowhere/key"
        self.refused("/nowhere/key, which cannot be read", "sign")

    def test_a_key_with_a_passphrase(self):
        change = ["ssh-keygen", "-q", "-p", "-N", "secret words", "-f", self.folder / "key"]
        subprocess.run(change, check=True, capture_output=True)
        self.refused("no OpenSSH private key without a passphrase", "sign")

    def test_nothing_was_built(self):
        (self.dist / "SHA256SUMS").unlink()
        self.refused("make it with 'make dist package'", "sign")

    def test_a_path_in_the_sums(self):
        with (self.dist / "SHA256SUMS").open("a") as sums:
            sums.write(f"{'0' * 64}  ../elsewhere\n")
        self.refused("with a plain name", "sign")


class Verifying(Release):
    def setUp(self):
        super().setUp()
        self.succeeds("sign")

    def test_a_changed_byte_of_a_file(self):
        path = self.dist / "runner-fleet_0.1.0-1_arm64.deb"
        data = bytearray(path.read_bytes())
        data[4321] ^= 1
        path.write_bytes(data)
        self.refused("runner-fleet_0.1.0-1_arm64.deb: FAILED", "verify-release")

    def test_a_missing_file(self):
        (self.dist / "runner-fleet_0.1.0-1_arm64.deb").unlink()
        self.refused("runner-fleet_0.1.0-1_arm64.deb", "verify-release")

    def test_a_changed_byte_and_its_new_sum(self):
        (self.dist / "runner-fleet_0.1.0-1_arm64.deb").write_bytes(b"another")
        self.sum_up()
        self.refused("SHA256SUMS is not what was signed", "verify-release")

    def test_no_signature(self):
        (self.dist / "SHA256SUMS.sig").unlink()
        self.refused("the release is not signed", "verify-release")

    def test_another_key(self):
        keypair(self.folder, "other")
        self.environment["RELEASE_KEY_FILE"] = str(self.folder / "other")
        self.succeeds("sign")
        self.refused("signed by a key that", "verify-release")

    def test_a_signature_for_another_purpose(self):
        (self.dist / "SHA256SUMS.sig").unlink()
        sign = ["ssh-keygen", "-q", "-Y", "sign", "-f", self.folder / "key", "-n", "git", self.dist / "SHA256SUMS"]
        subprocess.run(sign, check=True, capture_output=True)
        self.refused("SHA256SUMS is not what was signed", "verify-release")

    def test_no_signer_is_named_yet(self):
        (self.folder / "allowed_signers").write_text("# none\n")
        self.refused("names no key yet", "verify-release")


class Refusals(Release):
    def test_nowhere(self):
        self.refused("TO=gitlab or TO=github", "publish")

    def test_no_tag(self):
        del self.environment["RELEASE_TAG"]
        self.refused("RELEASE_TAG is not set", "publish", "TO=gitlab")

    def test_a_tag_of_another_version(self):
        self.environment["RELEASE_TAG"] = "v0.2.0"
        self.refused("the tag must be v0.1.0", "publish", "TO=gitlab")

    def test_no_notes(self):
        (self.folder / "CHANGELOG.md").write_text("## [Unreleased]\n- all\n")
        self.refused("no section '## [0.1.0]'", "publish", "TO=gitlab")


class ToGitLab(Release):
    def setUp(self):
        super().setUp()
        self.gitlab = double.GitLab()
        self.addCleanup(self.gitlab.close)
        self.environment |= {
            "CI_API_V4_URL": f"http://{self.gitlab.address}/api/v4",
            "CI_PROJECT_ID": "7",
            "CI_JOB_TOKEN": double.TOKEN,
        }

    def test_a_release(self):
        told = self.succeeds("publish", "TO=gitlab")
        self.assertIn("left-over.log", told)
        names = {"runner-fleet_0.1.0-1_arm64.deb", "runner-fleet-0.1.0-1.aarch64.rpm", "SHA256SUMS", "SHA256SUMS.sig"}
        self.assertEqual(set(self.gitlab.store.files), names)
        for name, data in self.gitlab.store.files.items():
            self.assertEqual(data, (self.dist / name).read_bytes(), name)
        release = self.gitlab.releases["v0.1.0"]
        self.assertIn("what is new", release["description"])
        self.assertNotIn("old", release["description"].split("### Verify")[0])
        self.assertEqual({link["name"] for link in release["assets"]["links"]}, names)
        self.assertEqual(self.gitlab.seen[-1], ("POST", "/api/v4/projects/7/releases"), "the release comes last")

    def test_the_token_goes_to_gitlab_alone(self):
        self.succeeds("publish", "TO=gitlab")
        self.assertIn("curl\n", self.argv())
        self.assertNotIn(double.TOKEN, self.argv())
        self.assertFalse(self.gitlab.store.saw_a_token)

    def test_a_dry_run_says_all_and_sends_nothing(self):
        told = self.succeeds("publish", "TO=gitlab", "DRY_RUN=1")
        self.assertIn("PUT http", told)
        self.assertEqual(self.gitlab.seen, [])

    def test_another_key_uploads_nothing(self):
        keypair(self.folder, "other")
        self.environment["RELEASE_KEY_FILE"] = str(self.folder / "other")
        self.refused("signed by a key that", "publish", "TO=gitlab")
        self.assertEqual(self.gitlab.seen, [])

    def test_a_changed_byte_uploads_nothing(self):
        (self.dist / "runner-fleet_0.1.0-1_arm64.deb").write_bytes(b"another")
        self.refused("is not the one that was signed", "publish", "TO=gitlab")
        self.assertEqual(self.gitlab.seen, [])

    def test_a_release_does_not_change(self):
        self.gitlab.releases["v0.1.0"] = {"tag_name": "v0.1.0"}
        self.refused("already released", "publish", "TO=gitlab")
        self.assertEqual(self.gitlab.store.files, {})

    def test_a_refused_upload_makes_no_release(self):
        self.gitlab.refuses = "SHA256SUMS"
        self.refused("did not take SHA256SUMS", "publish", "TO=gitlab")
        self.assertEqual(self.gitlab.releases, {})

    def test_what_comes_back_changed_makes_no_release(self):
        self.gitlab.spoils = "runner-fleet-0.1.0-1.aarch64.rpm"
        self.refused("is not the one that was signed", "publish", "TO=gitlab")
        self.assertEqual(self.gitlab.releases, {})

    def test_a_wrong_token(self):
        self.environment["CI_JOB_TOKEN"] = "another"
        self.refused("HTTP 401", "publish", "TO=gitlab")

    def test_no_token_in_clear(self):
        self.environment["CI_API_V4_URL"] = "http://gitlab.example.com/api/v4"
        self.refused("without https", "publish", "TO=gitlab")


@unittest.skipIf(os.environ.get("WITHOUT_GH"), "gh is not to be had")
class ToGitHub(Release):
    def setUp(self):
        super().setUp()
        certificate = (self.folder / "certificate.pem", self.folder / "certificate.key")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=double", "-addext", "subjectAltName=IP:127.0.0.1",
             "-out", certificate[0], "-keyout", certificate[1]],
            check=True, capture_output=True,
        )  # fmt: skip
        self.github = double.GitHub(certificate)
        self.addCleanup(self.github.close)
        self.environment |= {
            "GITHUB_REPOSITORY": "owner/repository",
            "GH_REPO": f"{self.github.address}/owner/repository",
            "GH_HOST": self.github.address,
            "GH_TOKEN": double.TOKEN,
            "GH_ENTERPRISE_TOKEN": double.TOKEN,
            "GH_CONFIG_DIR": str(self.folder / "gh"),
            "SSL_CERT_FILE": str(certificate[0]),
        }

    def released(self):
        return [one for one in self.github.releases.values() if not one["draft"]]

    def test_a_release(self):
        self.succeeds("publish", "TO=github")
        (release,) = self.github.releases.values()
        self.assertFalse(release["draft"])
        self.assertIn("what is new", release["body"])
        names = {"runner-fleet_0.1.0-1_arm64.deb", "runner-fleet-0.1.0-1.aarch64.rpm", "SHA256SUMS", "SHA256SUMS.sig"}
        self.assertEqual({asset["name"] for asset in release["assets"]}, names)
        self.assertIn("gh\n", self.argv())
        self.assertNotIn(double.TOKEN, self.argv())

    def test_a_dry_run_sends_nothing(self):
        self.assertIn("gh release create v0.1.0 --draft", self.succeeds("publish", "TO=github", "DRY_RUN=1"))
        self.assertEqual(self.github.seen, [])

    def test_a_draft_that_an_earlier_run_has_left(self):
        self.github.leave(draft=True)
        self.succeeds("publish", "TO=github")
        self.assertEqual(len(self.github.releases), 1)
        self.assertEqual(len(self.released()), 1)

    def test_a_release_does_not_change(self):
        self.github.leave(draft=False)
        self.refused("already released", "publish", "TO=github")

    def test_what_comes_back_changed_stays_a_draft(self):
        self.github.spoils = "runner-fleet-0.1.0-1.aarch64.rpm"
        self.refused("is not the one that was signed", "publish", "TO=github")
        self.assertEqual(self.released(), [])

    def test_a_wrong_token(self):
        self.environment["GH_TOKEN"] = self.environment["GH_ENTERPRISE_TOKEN"] = "another"
        self.refused("does not say whether v0.1.0 is released", "publish", "TO=github")


if __name__ == "__main__":
    unittest.main()
