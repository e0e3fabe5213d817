# The least that a user writes, and what becomes of it.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-0123456789abcdef0" }
  }
  mock_resource "aws_security_group" {
    defaults = { id = "sg-0123456789abcdef0" }
  }
}

variables {
  environment = "ci"
  vpc_id      = "vpc-0123456789abcdef0"
  subnet_ids  = ["subnet-0a1b2c3d4e5f60718", "subnet-0b1c2d3e4f5061728"]

  runner_package = {
    url    = "https://releases.example.com/runner-fleet-0.1.0-1.aarch64.rpm"
    sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  runner_gitlab = {
    url                                           = "https://gitlab.example.com"
    preregistered_runner_token_ssm_parameter_name = "/ci/runner-token"
    api_token_ssm_parameter_name                  = "/ci/read-api-token"
  }

  runners = {
    spot = {
      limit = 10
      fleet = { instance_types = ["c8g.large", "c7g.large", "m8g.large", "m7g.large"] }
    }
  }
}

run "minimal" {
  command = plan

  assert {
    condition     = strcontains(output.config_toml, "manager = \"ci\"")
    error_message = output.config_toml
  }
}
