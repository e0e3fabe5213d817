# The example plans, and says what it is about.

mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan
}

variables {
  vpc_id                       = "vpc-0123456789abcdef0"
  subnet_ids                   = ["subnet-0a1b2c3d4e5f60718", "subnet-0b1c2d3e4f5061728"]
  permissions_boundary_arn     = "arn:aws:iam::123456789012:policy/boundary"
  package_bucket               = "example-packages"
  package_sha256               = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  prometheus_security_group_id = "sg-0a1b2c3d4e5f60718"
  s3_prefix_list_id            = "pl-0a1b2c3d4e5f60718"
}

run "plan" {
  command = plan

  assert {
    condition     = output.manager_security_group_id == "sg-0123456789abcdef0"
    error_message = "the manager's group is told, for the groups of GitLab and the proxy"
  }
  assert {
    condition     = length(regexall("\\[\\[runners\\]\\]", module.runner_fleet.config_toml)) == 2
    error_message = "two pools"
  }
}
