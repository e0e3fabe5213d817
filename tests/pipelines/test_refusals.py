"""Each linter refuses what it is there for: one edit of the real files, one sentence."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOOKED_AT = [".gitlab-ci.yml", ".github", "renovate.json", "crates/config/src/pins.rs"]
CI, RELEASE = ".github/workflows/ci.yml", ".github/workflows/release.yml"


class Refusals(unittest.TestCase):
    """A copy of what is looked at, for each test its own."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipelines-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        for name in LOOKED_AT:
            source, copy = ROOT / name, self.folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)

    def refused(self, part, file, before, after, sentence):
        path = self.folder / file
        text = path.read_text()
        self.assertIn(before, text, f"the text that this test edits is no longer in {file}")
        path.write_text(text.replace(before, after, 1))
        check = [ROOT / "tests/pipelines/check", self.folder, part]
        ran = subprocess.run(check, text=True, capture_output=True, check=False)
        self.assertEqual(ran.returncode, 1, ran.stdout + ran.stderr)
        self.assertIn(sentence, ran.stdout + ran.stderr)

    def test_a_key_that_gitlab_does_not_know(self):
        self.refused(
            "gitlab", ".gitlab-ci.yml", "resource_group: release", "resource_groups: release", "resource_groups"
        )

    def test_a_key_that_github_does_not_know(self):
        self.refused("github", CI, "container: rust", "containers: rust", "containers")

    def test_a_job_without_a_limit(self):
        self.refused("github", RELEASE, "    timeout-minutes: 30\n", "", "timeout-minutes")

    def test_a_form_with_an_unknown_field(self):
        self.refused("forms", ".github/ISSUE_TEMPLATE/wish.yml", "type: textarea", "type: text", "text")

    def test_a_renovate_option_of_the_wrong_kind(self):
        self.refused("renovate", "renovate.json", '"labels": ["dependencies"]', '"labels": 7', "labels")

    def test_a_custom_manager_whose_text_has_moved(self):
        self.refused("renovate", "crates/config/src/pins.rs", 'program: "gitlab-runner"', 'program: "runner"', "finds nothing")

    def test_a_command_that_is_no_target(self):
        self.refused("commands", ".gitlab-ci.yml", "- make doc", "- cargo doc", "'cargo doc' is neither")

    def test_a_target_that_does_not_exist(self):
        self.refused("commands", CI, "make doc", "make docs", "no make target 'docs'")

    def test_a_target_that_only_one_pipeline_calls(self):
        self.refused("commands", CI, "      - run: make doc\n", "", "no workflow calls `make doc`")

    def test_a_secret_in_an_argument(self):
        after = "- make publish TO=gitlab TOKEN=$CI_JOB_TOKEN"
        self.refused("commands", ".gitlab-ci.yml", "- make publish TO=gitlab", after, "is neither")

    def test_a_second_command_behind_a_target(self):
        self.refused("commands", CI, "run: make doc", "run: make doc && env", "is neither")

    def test_an_image_with_another_toolchain(self):
        self.refused("toolchain", CI, "rust:", "rust:0.", "is not the toolchain")

    def test_an_expression_that_does_not_exist(self):
        self.refused("actionlint", RELEASE, "github.ref_name", "github.ref_nam", "ref_nam")

    def test_an_action_by_tag(self):
        after = "actions/cache@v5"
        self.refused("zizmor", CI, "actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fccae", after, "unpinned-uses")

    def test_the_rights_of_the_project_for_what_strangers_send(self):
        self.refused("zizmor", CI, "pull_request:", "pull_request_target:", "dangerous-triggers")

    def test_what_strangers_write_in_a_command(self):
        after = 'run: echo "${{ github.event.pull_request.title }}"'
        self.refused("zizmor", CI, "run: make doc", after, "template-injection")


if __name__ == "__main__":
    unittest.main()
