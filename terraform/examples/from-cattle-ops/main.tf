# Takes what a user of cattle-ops/terraform-aws-gitlab-runner has, and says it to this module. Copy it, see that the plan is
# what you want, and then write the module's own inputs: they can do more.

provider "aws" {
  region = var.region
}

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}

locals {
  # There the scripts are TOML, with its quotes; here they are just text.
  scripts = {
    for name, script in var.runner_worker_gitlab_pipeline :
    name => trimspace(try(jsondecode(trimspace(script)), trimsuffix(trimprefix(trimspace(script), "'''"), "'''")))
  }
  worker = var.runner_worker_docker_machine_instance
  docker = var.runner_worker_docker_options
}

module "runner_fleet" {
  source = "../.."

  environment                  = var.environment
  vpc_id                       = var.vpc_id
  subnet_ids                   = [var.subnet_id]
  tags                         = var.tags
  suppressed_tags              = var.suppressed_tags
  security_group_prefix        = var.security_group_prefix
  iam_object_prefix            = var.iam_object_prefix
  iam_permissions_boundary_arn = var.iam_permissions_boundary == "" ? null : "arn:${data.aws_partition.here.partition}:iam::${data.aws_caller_identity.here.account_id}:policy/${var.iam_permissions_boundary}"

  runner_package    = var.runner_package
  runner_instance   = var.runner_instance
  runner_cloudwatch = var.runner_cloudwatch

  runner_manager = {
    gitlab_check_interval     = var.runner_manager.gitlab_check_interval
    maximum_concurrent_jobs   = var.runner_manager.maximum_concurrent_jobs
    prometheus_listen_address = coalesce(var.runner_manager.prometheus_listen_address, "127.0.0.1:9252")
    connection_max_age        = var.runner_manager.connection_max_age
  }

  runner_gitlab = {
    url                                           = var.runner_gitlab.url
    url_clone                                     = var.runner_gitlab.url_clone == "" ? null : var.runner_gitlab.url_clone
    ca_certificate                                = var.runner_gitlab.ca_certificate
    preregistered_runner_token_ssm_parameter_name = var.runner_gitlab.preregistered_runner_token_ssm_parameter_name
    api_token_ssm_parameter_name                  = var.read_api_token_ssm_parameter_name
  }

  runner_worker       = { ssm_access = var.runner_worker.ssm_access }
  runner_worker_role  = var.runner_worker_docker_machine_role
  runner_worker_cache = var.runner_worker_cache

  runners = {
    (var.runner_instance.name) = {
      limit                  = var.runner_worker.max_jobs
      output_limit           = var.runner_worker.output_limit
      request_concurrency    = var.runner_worker.request_concurrency
      environment            = length(var.runner_worker.environment_variables) == 0 ? null : var.runner_worker.environment_variables
      pre_get_sources_script = local.scripts.pre_clone_script == "" ? null : local.scripts.pre_clone_script
      pre_build_script       = local.scripts.pre_build_script == "" ? null : local.scripts.pre_build_script
      post_build_script      = local.scripts.post_build_script == "" ? null : local.scripts.post_build_script

      docker = merge(
        { for key, value in local.docker : key => value if !contains(["pull_policies", "volumes"], key) },
        {
          pull_policy    = local.docker.pull_policies
          volumes        = distinct(concat(local.docker.volumes, var.runner_worker_docker_add_dind_volumes ? ["/certs/client", "/var/run/docker.sock:/var/run/docker.sock"] : []))
          services       = length(var.runner_worker_docker_services) == 0 ? null : var.runner_worker_docker_services
          tmpfs          = length(var.runner_worker_docker_volumes_tmpfs) == 0 ? null : { for mount in var.runner_worker_docker_volumes_tmpfs : mount.volume => mount.options }
          services_tmpfs = length(var.runner_worker_docker_services_volumes_tmpfs) == 0 ? null : { for mount in var.runner_worker_docker_services_volumes_tmpfs : mount.volume => mount.options }
        },
      )

      fleet = {
        ami                = var.runner_worker_docker_machine_ami_id == "" ? null : var.runner_worker_docker_machine_ami_id
        ssh_user           = var.worker_ssh_user
        instance_types     = local.worker.types
        subnets            = length(local.worker.subnet_ids) == 0 ? null : local.worker.subnet_ids
        address            = local.worker.private_address_only ? "private" : "public"
        market             = var.runner_worker_docker_machine_instance_spot.enable ? "spot" : "on-demand"
        spot_max_price     = var.runner_worker_docker_machine_instance_spot.max_price == "on-demand-price" ? null : var.runner_worker_docker_machine_instance_spot.max_price
        max_jobs           = local.worker.destroy_after_max_builds
        max_booting        = local.worker.max_growth_rate
        idle_count         = local.worker.idle_count
        idle_time          = "${local.worker.idle_time}s"
        metadata_hop_limit = try(var.runner_worker_docker_machine_ec2_metadata_options.http_put_response_hop_limit, null)
        registry_mirrors   = local.worker.docker_registry_mirror_url == "" ? null : [local.worker.docker_registry_mirror_url]
        setup_script       = local.worker.start_script == "" ? null : local.worker.start_script
        root_volume        = { size_gib = local.worker.root_size, type = local.worker.volume_type }

        schedule = length(var.runner_worker_docker_machine_autoscaling_options) == 0 ? null : [
          for entry in var.runner_worker_docker_machine_autoscaling_options : {
            # Without the first field (seconds) and the last (year).
            periods           = [for period in entry.periods : length(split(" ", period)) == 7 ? join(" ", slice(split(" ", period), 1, 6)) : period]
            timezone          = entry.timezone
            idle_count        = entry.idle_count
            idle_count_min    = entry.idle_count_min
            idle_scale_factor = entry.idle_scale_factor
            idle_time         = entry.idle_time == null ? null : "${entry.idle_time}s"
          }
        ]
      }
    }
  }
}

output "dashboard_command" {
  description = "Opens a tunnel to the dashboard; null without runner_instance.ssm_access."
  value       = module.runner_fleet.dashboard_command
}
