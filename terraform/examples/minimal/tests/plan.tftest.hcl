# The example plans, and says what it is about.

mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan
}

variables {
  region         = "eu-central-1"
  vpc_id         = "vpc-0123456789abcdef0"
  subnet_ids     = ["subnet-0a1b2c3d4e5f60718", "subnet-0b1c2d3e4f5061728"]
  gitlab_url     = "https://gitlab.example.com"
  package_url    = "https://releases.example.com/runner-fleet-0.1.0-1.aarch64.rpm"
  package_sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
}

run "plan" {
  command = plan

  assert {
    condition     = strcontains(output.dashboard_command, "AWS-StartPortForwardingSession")
    error_message = "the way to the dashboard is an output"
  }
}
