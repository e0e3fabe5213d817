# The least that works: your VPC, your GitLab, two tokens in SSM, one pool of spot workers.

provider "aws" {
  region = var.region
}

module "runner_fleet" {
  source = "../.."

  environment = "ci"
  vpc_id      = var.vpc_id
  subnet_ids  = var.subnet_ids

  runner_package = {
    url    = var.package_url
    sha256 = var.package_sha256
  }

  runner_gitlab = {
    url                                           = var.gitlab_url
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

output "dashboard_command" {
  description = "Opens a tunnel to the dashboard."
  value       = module.runner_fleet.dashboard_command
}
