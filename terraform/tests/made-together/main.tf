# Everything that the module is given is made beside it, so that Terraform knows none of it at plan: still the plan must know
# how many of each resource there will be.

resource "aws_vpc" "this" {
  cidr_block = "10.77.0.0/20"
}

resource "aws_subnet" "this" {
  count = 2

  vpc_id     = aws_vpc.this.id
  cidr_block = cidrsubnet(aws_vpc.this.cidr_block, 2, count.index)
}

resource "aws_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

# What would be a key's, a policy's or a topic's ARN: all that counts is that it is not known.
locals {
  unknown = aws_vpc.this.arn
}

module "runner_fleet" {
  source = "../.."

  environment                  = "ci"
  vpc_id                       = aws_vpc.this.id
  subnet_ids                   = aws_subnet.this[*].id
  kms_key_id                   = local.unknown
  iam_permissions_boundary_arn = local.unknown

  runner_package    = { url = "https://releases.example.com/runner-fleet-0.1.0-1.aarch64.rpm", sha256 = sha256("") }
  runner_role       = { policy_arns = [local.unknown] }
  runner_networking = { security_group_ids = [aws_security_group.this.id] }
  runner_cloudwatch = { enable = true }
  runner_alarm      = { enable = true, alarm_actions = [local.unknown] }

  runner_worker_role = { policy_arns = [local.unknown] }

  runner_ingress_rules = {
    metrics = { protocol = "tcp", from_port = 9252, to_port = 9252, description = "metrics", security_group = aws_security_group.this.id }
  }

  runner_gitlab = {
    preregistered_runner_token_ssm_parameter_name = "/ci/runner-token"
    api_token_ssm_parameter_name                  = "/ci/read-api-token"
  }

  runners = {
    spot = {
      fleet = {
        instance_types  = ["c8g.large"]
        security_groups = [aws_security_group.this.id]
        root_volume     = { kms_key_id = local.unknown }
      }
    }
  }
}
