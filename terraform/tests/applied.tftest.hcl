# The least, made: ids are known then, and outputs are whole.

mock_provider "aws" {
  source = "./tests/mocks"
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

run "applied" {
  command = apply

  assert {
    condition     = output.manager_role_arn == aws_iam_role.manager[0].arn && output.worker_role_arn == null && output.runner_as_group_name == aws_autoscaling_group.manager.name
    error_message = "outputs name what was made"
  }
  assert {
    condition     = output.worker_security_group_id == aws_security_group.worker.id && strcontains(output.config_toml, aws_security_group.worker.id)
    error_message = "the configuration has the group that was made"
  }
}
