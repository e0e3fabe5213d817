# The example plans with each way out.

mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan
}

variables {
  gitlab_url     = "https://gitlab.example.com"
  package_url    = "https://releases.example.com/runner-fleet-0.1.0-1.aarch64.rpm"
  package_sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
}

run "public" {
  command = plan

  assert {
    condition     = output.log_command == "aws logs tail --region eu-central-1 --follow /runner-fleet/ci"
    error_message = "the log is shown by a ready command"
  }
}

run "nat" {
  command = plan

  variables {
    egress = "nat"
  }
}
