# The least that a user writes, and what becomes of it.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
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

run "host" {
  command = plan

  assert {
    condition     = aws_launch_template.manager.metadata_options[0].http_tokens == "required" && aws_launch_template.manager.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "IMDSv2 alone, and not through a container"
  }
  assert {
    condition     = aws_launch_template.manager.instance_type == "t4g.micro" && aws_launch_template.manager.image_id == "ami-0123456789abcdef0"
    error_message = "the smallest Graviton, the image of the parameter"
  }
  assert {
    condition     = data.aws_ssm_parameter.image[0].name == "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    error_message = "Amazon Linux 2023 for arm64, and not its minimal form, which has no Session Manager agent"
  }
  assert {
    condition     = aws_launch_template.manager.block_device_mappings[0].ebs[0].encrypted == "true"
    error_message = "the disk is encrypted"
  }
  assert {
    condition     = aws_launch_template.manager.network_interfaces[0].associate_public_ip_address == "false"
    error_message = "no public address unless asked for"
  }
  assert {
    condition     = aws_launch_template.manager.key_name == null
    error_message = "nobody has a key to the host"
  }
  assert {
    # The manager takes instances with this tag for workers, and would end its own host.
    condition     = alltrue([for one in aws_launch_template.manager.tag_specifications : !contains(keys(one.tags), "runner-fleet:manager")])
    error_message = "the host is no worker"
  }
  assert {
    condition     = length(aws_launch_template.manager.user_data) < 16384
    error_message = "far below EC2's limit"
  }
}

run "group_of_exactly_one" {
  command = plan

  assert {
    condition     = aws_autoscaling_group.manager.min_size == 1 && aws_autoscaling_group.manager.max_size == 1 && aws_autoscaling_group.manager.desired_capacity == 1
    error_message = "one host, never two"
  }
  assert {
    condition     = aws_autoscaling_group.manager.instance_maintenance_policy[0].min_healthy_percentage == 0 && aws_autoscaling_group.manager.instance_maintenance_policy[0].max_healthy_percentage == 100
    error_message = "the old host goes before the new one comes"
  }
  assert {
    condition     = aws_autoscaling_group.manager.instance_refresh[0].preferences[0].min_healthy_percentage == 0 && aws_autoscaling_group.manager.instance_refresh[0].preferences[0].max_healthy_percentage == 100
    error_message = "so it is in an instance refresh"
  }
  assert {
    condition     = contains(aws_autoscaling_group.manager.suspended_processes, "AZRebalance")
    error_message = "rebalancing of zones launches first"
  }
  assert {
    condition     = length(aws_autoscaling_group.manager.initial_lifecycle_hook) == 0
    error_message = "no hook delays the end of the old host"
  }
  assert {
    condition     = [for tag in aws_autoscaling_group.manager.tag : [tag.value, tag.propagate_at_launch] if tag.key == "runner-fleet:host"] == [["ci", false]]
    error_message = "the tag by which the outputs' commands and the host itself find the group"
  }
}

run "network" {
  command = plan

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.manager) == 0
    error_message = "nobody may reach the manager"
  }
  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.worker_from_manager) == ["22"] && length(aws_vpc_security_group_ingress_rule.worker) == 0
    error_message = "the workers let in SSH, and nothing else"
  }
  assert {
    condition = alltrue([
      for rule in aws_vpc_security_group_ingress_rule.worker_from_manager :
      rule.referenced_security_group_id == aws_security_group.manager.id && rule.cidr_ipv4 == null && rule.cidr_ipv6 == null
    ])
    error_message = "from the manager's group alone"
  }
  assert {
    condition     = keys(aws_vpc_security_group_egress_rule.manager_to_workers) == ["22"] && length(aws_vpc_security_group_egress_rule.manager_to_gitlab) == 0
    error_message = "the manager may reach the workers' SSH port; GitLab at 443 is in the other rules"
  }
  assert {
    condition = alltrue([
      for rule in concat(
        values(aws_vpc_security_group_egress_rule.manager), values(aws_vpc_security_group_egress_rule.worker),
        values(aws_vpc_security_group_egress_rule.manager_to_workers), values(aws_vpc_security_group_ingress_rule.worker_from_manager),
      ) : length(rule.description) > 0
    ])
    error_message = "every rule says what it is for"
  }
}

run "rights" {
  command = plan

  assert {
    condition     = length(aws_iam_role.worker) == 0 && length(aws_iam_instance_profile.worker) == 0
    error_message = "workers that need no rights have no role"
  }
  assert {
    condition     = length(aws_iam_role.manager) == 1 && aws_iam_role.manager[0].name == "ci-manager" && aws_iam_instance_profile.manager[0].name == "ci-manager"
    error_message = "the manager has a role"
  }
  assert {
    condition     = !strcontains(aws_iam_role_policy.manager[0].policy, "iam:PassRole")
    error_message = "nothing to hand on"
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.manager[0].policy).Statement :
      statement.Sid == "Look" || statement.Resource != "*"
    ])
    error_message = "only looking is allowed everywhere"
  }
  assert {
    condition     = strcontains(aws_iam_role_policy.host[0].policy, "ssmmessages:OpenDataChannel") && !strcontains(aws_iam_role_policy.host[0].policy, "ssm:GetParameter")
    error_message = "Session Manager, without AWS' own policy, which may read every parameter"
  }
}

run "nothing_that_costs" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket.cache) + length(aws_cloudwatch_log_group.manager) + length(aws_cloudwatch_metric_alarm.manager) == 0
    error_message = "what costs money is asked for"
  }
}

run "configuration" {
  command = plan

  assert {
    condition     = strcontains(output.config_toml, "\n[fleet]\nmanager = \"ci\"\nssh_key = \"ssm:/runner-fleet/ci/ssh-key\"\n")
    error_message = output.config_toml
  }
  assert {
    condition     = strcontains(output.config_toml, "security_groups = [\"sg-0123456789abcdef0\"]") && strcontains(output.config_toml_at_plan, "security_groups = [\"sg-00000000000000000\"]")
    error_message = "the workers' group, and what stands for it at plan"
  }
  assert {
    condition     = strcontains(output.config_toml, "ami = \"ssm:/aws/service/debian/release/13/latest/arm64\"") && !strcontains(output.config_toml, "idle_count")
    error_message = "what was left out is filled in, or left out"
  }
  assert {
    condition     = !strcontains(output.config_toml, "null")
    error_message = "TOML has no null"
  }
}

run "no_secret" {
  command = plan

  assert {
    # base64gunzip came with Terraform 1.12; the text before gzip is the same.
    condition     = strcontains(local.cloud_config, "token = \"ssm:/ci/runner-token\"") && length(regexall("gl[a-z]+-|BEGIN [A-Z ]*PRIVATE KEY|AKIA", local.cloud_config)) == 0
    error_message = "tokens are only named"
  }
  assert {
    condition     = local.user_data == aws_launch_template.manager.user_data
    error_message = "that text is the user-data"
  }
  assert {
    condition     = strcontains(local.cloud_config, "/usr/local/lib/runner-fleet/install.sh") && startswith(local.cloud_config, "#cloud-config\n")
    error_message = "cloud-init runs the installation"
  }
  assert {
    condition     = strcontains(local.cloud_config, "ExecStop=/usr/local/lib/runner-fleet/farewell.sh") && strcontains(local.settings, "MANAGER='ci'")
    error_message = "a destroy leaves no template and no key pair"
  }
}

run "commands" {
  command = plan

  assert {
    condition     = strcontains(output.dashboard_command, "--document-name AWS-StartPortForwardingSession --parameters portNumber=9252,localPortNumber=9252") && strcontains(output.dashboard_command, "Name=tag:runner-fleet:host,Values=ci ")
    error_message = output.dashboard_command
  }
}
