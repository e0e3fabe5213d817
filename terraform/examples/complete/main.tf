# Everything, from an empty account: a network, a cache, private images, a log, an alarm, working hours, and a pool that learns.

provider "aws" {
  region = var.region
}

module "vpc" {
  source = "../../modules/vpc"

  name   = "ci"
  egress = var.egress
}

module "runner_fleet" {
  source = "../.."

  environment = "ci"
  vpc_id      = module.vpc.vpc_id
  subnet_ids  = module.vpc.subnet_ids
  tags        = { team = "platform" }

  runner_package  = { url = var.package_url, sha256 = var.package_sha256 }
  runner_instance = { private_address_only = module.vpc.private_address_only, max_lifetime_seconds = 2592000 }
  runner_manager  = { maximum_concurrent_jobs = 100, log_format = "json" }

  runner_gitlab = {
    url                                           = var.gitlab_url
    preregistered_runner_token_ssm_parameter_name = "/ci/runner-token"
    api_token_ssm_parameter_name                  = "/ci/read-api-token"
  }

  runner_cloudwatch = { enable = true, retention_days = 90 }
  runner_alarm      = { enable = true, alarm_actions = var.alarm_topic_arns }

  runner_worker_cache = { create = true, shared = true, expiration_days = 30 }
  runner_worker_ecr   = { repositories = ["team", "base/*"], pull_through_prefixes = ["docker-hub"] }

  runners = {
    # Most jobs: small, on spot, ready during working hours.
    spot = {
      limit       = 80
      environment = ["FF_USE_FASTZIP=true", "DOCKER_BUILDKIT=1"]
      docker      = { image = "docker:28", privileged = true, volumes = ["/cache", "/certs/client"], shm_size = 268435456 }
      extra       = jsonencode({ feature_flags = { FF_TIMESTAMPS = true } })

      fleet = {
        instance_types = ["c8g.xlarge", "c7g.xlarge", "m8g.xlarge", "m7g.xlarge", "r8g.xlarge"]
        capacity       = 2
        max_jobs       = 200
        idle_count     = "auto"
        target_wait    = "20s"
        root_volume    = { size_gib = 80, kms_key_id = "alias/aws/ebs" }
        docker_daemon  = jsonencode({ "max-concurrent-downloads" = 6 })
        ecr            = { registries = ["${data.aws_caller_identity.here.account_id}.dkr.ecr.${var.region}.amazonaws.com", "public.ecr.aws"] }
        schedule = [
          { periods = ["* 7-18 * * mon-fri"], timezone = "Europe/Berlin", idle_count_min = 4 },
          { periods = ["* * * * sat,sun"], timezone = "Europe/Berlin", idle_count = 0 },
        ]
      }
    }

    # Deployments: on demand, a fresh machine for each, no cache to poison.
    deploy = {
      limit                    = 5
      token_ssm_parameter_name = "/ci/runner-token-deploy"
      fleet = {
        instance_types = ["m8g.large", "m7g.large"]
        market         = "on-demand"
        max_jobs       = 1
      }
    }
  }
}

data "aws_caller_identity" "here" {}

output "dashboard_command" {
  description = "Opens a tunnel to the dashboard."
  value       = module.runner_fleet.dashboard_command
}

output "log_command" {
  description = "Shows the manager's log as it grows."
  value       = module.runner_fleet.log_command
}
