# The manager's host: a group of exactly one, which is replaced old before new. Two managers of one name must never run.

data "aws_ssm_parameter" "image" {
  count = var.runner_ami_id == "" ? 1 : 0

  name = {
    amazon-linux-2023 = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${local.manager_arch == "arm64" ? "arm64" : "x86_64"}"
    debian-13         = "/aws/service/debian/release/13/latest/${local.manager_arch}"
  }[var.runner_image]
}

locals {
  host_name = coalesce(var.runner_instance.name, "${var.environment}-manager")
  host_tag  = "runner-fleet:host"
  host_tags = merge(local.tags, var.runner_instance.additional_tags, { Name = local.host_name })
}

resource "aws_launch_template" "manager" {
  name_prefix            = "${var.environment}-manager-"
  description            = "runner-fleet manager ${var.environment}"
  image_id               = var.runner_ami_id != "" ? var.runner_ami_id : data.aws_ssm_parameter.image[0].insecure_value
  instance_type          = var.runner_instance.type
  user_data              = local.user_data
  update_default_version = true
  tags                   = local.tags

  iam_instance_profile {
    arn = var.runner_role.create_role_profile ? aws_iam_instance_profile.manager[0].arn : var.runner_role.instance_profile_arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  monitoring {
    enabled = var.runner_instance.monitoring
  }

  network_interfaces {
    device_index                = 0
    associate_public_ip_address = !var.runner_instance.private_address_only
    delete_on_termination       = true
    security_groups             = concat([aws_security_group.manager.id], var.runner_networking.security_group_ids)
  }

  block_device_mappings {
    device_name = var.runner_instance.root_device_config.device_name

    ebs {
      volume_size           = var.runner_instance.root_device_config.volume_size
      volume_type           = var.runner_instance.root_device_config.volume_type
      encrypted             = true
      kms_key_id            = var.kms_key_id == "" ? null : var.kms_key_id
      delete_on_termination = true
    }
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume", "network-interface"])

    content {
      resource_type = tag_specifications.value
      tags          = local.host_tags
    }
  }

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = length(local.user_data_plan) * 3 / 4 <= 16384 - 64
      error_message = "The user-data has ${floor(length(local.user_data_plan) * 3 / 4)} bytes after gzip, and EC2 takes 16384; shorten setup_script, runner_install or the runners' scripts, or let them fetch the rest."
    }
    # What no validation of `runners` can see alone, as it takes several variables and defaults.
    precondition {
      condition     = alltrue([for at in local.idle_in_force : try(tonumber(at.idle_count) <= at.slots, true)])
      error_message = "runners: fleet.idle_count is above what fleet.max_workers (by default limit / capacity, or maximum_concurrent_jobs / capacity) can hold, perhaps in a schedule; raise fleet.max_workers, or write a smaller idle_count."
    }
    precondition {
      condition     = alltrue([for at in local.idle_in_force : try(at.idle_count_min <= tonumber(at.idle_count), true)])
      error_message = "runners: fleet.idle_count_min is above fleet.idle_count, its ceiling, perhaps in a schedule; write it or less."
    }
    precondition {
      condition     = alltrue([for at in local.idle_in_force : at.sees_queue || try(tonumber(at.floor) >= 1, false)])
      error_message = "runners: without an API token the queue cannot be seen, and with fleet.idle_count = 0 no worker would ever start; write runner_gitlab.api_token_ssm_parameter_name, or fleet.idle_count = 1 or more."
    }
    precondition {
      # The text is searched, not the variables: a token may stand in any of them.
      condition     = !can(regex("(glrt|glpat|gldt|glcbt|glptt|glsoat|glft|GR1348941)-?[A-Za-z0-9_-]{15}", local.cloud_config_plan))
      error_message = "A GitLab token stands in the configuration; it would be in Terraform's state and in the user-data. Put it into an SSM parameter (SecureString), and write the parameter's name."
    }
    precondition {
      condition     = !can(regex("= null|[[{,] *null|null *[]},]", join("\n", [for line in split("\n", local.config_plan) : replace(line, "/\"(?:[^\"\\\\]|\\\\.)*\"/", "")])))
      error_message = "An `extra` or `docker_daemon` holds a null, and TOML has none; leave the key out."
    }
  }
}

resource "aws_autoscaling_group" "manager" {
  name_prefix           = "${var.environment}-manager-"
  min_size              = 1
  max_size              = 1
  desired_capacity      = 1
  vpc_zone_identifier   = var.subnet_ids
  max_instance_lifetime = var.runner_instance.max_lifetime_seconds
  health_check_type     = "EC2"

  # Rebalancing of zones launches first: there would be two.
  suspended_processes = ["AZRebalance"]

  instance_maintenance_policy {
    min_healthy_percentage = 0
    max_healthy_percentage = 100
  }

  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 0
      max_healthy_percentage = 100
      instance_warmup        = 60
    }
  }

  launch_template {
    id      = aws_launch_template.manager.id
    version = aws_launch_template.manager.latest_version
  }

  # By the first of these the commands of the outputs find the group, whatever its Name; the host itself does not carry it.
  dynamic "tag" {
    for_each = merge(local.host_tags, { (local.host_tag) = var.environment })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false # The launch template sets them.
    }
  }

  # The first thing that the service does is to read its tokens.
  depends_on = [
    aws_iam_role_policy.manager, aws_iam_role_policy.host, aws_iam_role_policy_attachment.manager,
    aws_iam_instance_profile.worker, aws_iam_role_policy.worker, aws_iam_role_policy.worker_extra,
    aws_vpc_security_group_egress_rule.manager, aws_vpc_security_group_egress_rule.manager_to_workers,
    aws_vpc_security_group_ingress_rule.worker_from_manager,
    aws_cloudwatch_log_group.manager,
  ]
}
