# Each switch, and what it makes.

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

run "debian" {
  command = plan

  variables {
    runner_image = "debian-13"
    runner_package = {
      url    = "s3://packages/runner-fleet_0.1.0_amd64.deb"
      sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    }
    runner_instance = { type = "t3a.micro", private_address_only = false, max_lifetime_seconds = 604800 }
  }

  assert {
    condition     = data.aws_ssm_parameter.image[0].name == "/aws/service/debian/release/13/latest/amd64"
    error_message = "Debian 13 for the type's processor"
  }
  assert {
    condition     = [for one in jsondecode(aws_iam_role_policy.host[0].policy).Statement : [one.Sid, one.Resource]] == [["AskItsGroup", "*"], ["FetchPackage", "arn:aws:s3:::packages/runner-fleet_0.1.0_amd64.deb"]]
    error_message = "the role may read this one object, and Session Manager is off"
  }
  assert {
    condition     = output.dashboard_command == null && output.shell_command == null
    error_message = "no command that would not work"
  }
  assert {
    condition     = aws_launch_template.manager.network_interfaces[0].associate_public_ip_address == "true" && aws_autoscaling_group.manager.max_instance_lifetime == 604800
    error_message = "address and age"
  }
  assert {
    condition     = length(aws_vpc_security_group_egress_rule.manager_to_mirrors) == 1
    error_message = "Debian's mirrors are reached by HTTP"
  }
}

run "image_of_ones_own" {
  command = plan

  variables {
    runner_ami_id = "ami-0a1b2c3d4e5f60718"
  }

  assert {
    condition     = aws_launch_template.manager.image_id == "ami-0a1b2c3d4e5f60718" && length(data.aws_ssm_parameter.image) == 0
    error_message = "the image that was named, and no other is looked up"
  }
}

run "names_and_tags" {
  command = plan

  variables {
    iam_object_prefix            = "app-ci"
    security_group_prefix        = "sec-ci"
    iam_permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
    tags                         = { team = "platform", Name = "mine" }
    suppressed_tags              = ["Environment"]
    runner_instance              = { name = "the-manager", additional_tags = { role = "ci" } }
    runner_role                  = { policy_arns = ["arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"], additional_tags = { who = "ci" } }
    runner_worker_role           = { create_role_profile = true, additional_tags = { who = "worker" } }
    runner_networking            = { security_group_ids = ["sg-0a1b2c3d4e5f60718"], security_group_description = "mine" }
  }

  assert {
    condition     = aws_iam_role.manager[0].name == "app-ci-manager" && aws_iam_role.worker[0].name == "app-ci-worker" && startswith(aws_security_group.worker.name_prefix, "sec-ci-")
    error_message = "prefixes"
  }
  assert {
    condition     = alltrue([for role in concat(aws_iam_role.manager, aws_iam_role.worker) : role.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"])
    error_message = "both roles are bounded"
  }
  assert {
    condition     = aws_iam_role.manager[0].tags == tomap({ team = "platform", Name = "mine", who = "ci" }) && aws_iam_role.worker[0].tags["who"] == "worker"
    error_message = "tags, without the suppressed one"
  }
  assert {
    condition     = strcontains(output.config_toml, "tags = {\"team\" = \"platform\"}")
    error_message = "workers have the tags, and a Name of their own"
  }
  assert {
    condition     = [for tag in aws_autoscaling_group.manager.tag : tag.value if tag.key == "Name"] == ["the-manager"]
    error_message = "the host's name, by which the commands find it"
  }
  assert {
    condition     = aws_launch_template.manager.network_interfaces[0].security_groups == toset(["sg-0123456789abcdef0", "sg-0a1b2c3d4e5f60718"]) && aws_security_group.manager.description == "mine"
    error_message = "more groups"
  }
  assert {
    condition     = aws_iam_role_policy_attachment.manager[0].policy_arn == "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
    error_message = "more policies"
  }
}

run "rights_brought_along" {
  command = plan

  variables {
    runner_role        = { create_role_profile = false, instance_profile_arn = "arn:aws:iam::123456789012:instance-profile/mine" }
    runner_worker_role = { role_arns = ["arn:aws:iam::123456789012:role/their-role"] }
    runners = {
      spot = { fleet = { instance_types = ["c8g.large"], instance_profile = "their-profile", security_groups = ["sg-0a1b2c3d4e5f60718"], subnets = ["subnet-1"] } }
    }
  }

  assert {
    condition     = length(aws_iam_role.manager) + length(aws_iam_role_policy.manager) + length(aws_iam_role_policy.host) + length(aws_iam_instance_profile.manager) + length(aws_iam_role.worker) == 0
    error_message = "no role is made"
  }
  assert {
    condition     = aws_launch_template.manager.iam_instance_profile[0].arn == "arn:aws:iam::123456789012:instance-profile/mine" && output.manager_role_arn == null
    error_message = "the host has the profile that was named"
  }
  assert {
    condition     = [for one in jsondecode(output.manager_policy_json).Statement : one.Resource if one.Sid == "GiveWorkersTheirRole"] == [["arn:aws:iam::123456789012:role/their-role"]]
    error_message = "the role of the workers' profile, which has another name"
  }
  assert {
    condition     = strcontains(output.config_toml, "instance_profile = \"their-profile\"") && strcontains(output.config_toml, "security_groups = [\"sg-0a1b2c3d4e5f60718\"]") && strcontains(output.config_toml, "subnets = [\"subnet-1\"]")
    error_message = "what a runner names wins"
  }
}

run "cache" {
  command = plan

  variables {
    kms_key_id          = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d"
    runner_worker_cache = { create = true, shared = true, versioning = true, expiration_days = 7, bucket_prefix = "example-" }
  }

  assert {
    condition     = aws_s3_bucket.cache[0].bucket == "example-ci-123456789012-cache" && aws_s3_bucket.cache[0].force_destroy
    error_message = "a name that nobody else has, and a bucket that a destroy can remove"
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.cache[0].rule[0].expiration[0].days == 7 && aws_s3_bucket_lifecycle_configuration.cache[0].rule[0].noncurrent_version_expiration[0].noncurrent_days == 1 && aws_s3_bucket_lifecycle_configuration.cache[0].rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 1
    error_message = "entries, old versions and unfinished uploads go"
  }
  assert {
    condition     = length([for filter in aws_s3_bucket_lifecycle_configuration.cache[0].rule[0].filter : filter if filter.prefix != null]) == 0
    error_message = "whatever their prefix"
  }
  assert {
    condition     = length(aws_s3_bucket_public_access_block.cache) == 1 && aws_s3_bucket_public_access_block.cache[0].restrict_public_buckets && length(aws_s3_bucket_versioning.cache) == 1
    error_message = "private"
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.cache[0].rule).apply_server_side_encryption_by_default).kms_master_key_id == "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d"
    error_message = "encrypted with the key that was named"
  }
  assert {
    condition     = { for one in jsondecode(aws_iam_role_policy.worker_extra[0].policy).Statement : one.Sid => one.Action } == { CacheKey = ["kms:Decrypt", "kms:GenerateDataKey"], CacheList = "s3:ListBucket", CacheObjects = ["s3:GetObject", "s3:PutObject"] }
    error_message = "the workers may use it, and that is all"
  }
  assert {
    condition     = strcontains(output.config_toml, "  [runners.cache]\n  Shared = true\n  Type = \"s3\"\n  s3 = {\"AuthenticationType\" = \"iam\", \"BucketLocation\" = \"eu-central-1\", \"BucketName\" = \"example-ci-123456789012-cache\", \"ServerAddress\" = \"s3.eu-central-1.amazonaws.com\"}")
    error_message = output.config_toml
  }
  assert {
    condition     = strcontains(output.config_toml, "instance_profile = \"ci-worker\"") && [for one in jsondecode(output.manager_policy_json).Statement : one.Resource if one.Sid == "GiveWorkersTheirRole"] == [["arn:aws:iam::123456789012:role/ci-worker"]]
    error_message = "the workers have a role, and the manager may hand it on"
  }
}

run "cache_of_ones_own" {
  command = plan

  variables {
    runner_worker_cache = { bucket = "ci-cache" }
  }

  assert {
    condition     = length(aws_s3_bucket.cache) == 0 && strcontains(output.config_toml, "\"BucketName\" = \"ci-cache\"") && strcontains(aws_iam_role_policy.worker_extra[0].policy, "arn:aws:s3:::ci-cache/*")
    error_message = "the bucket is used, and not made"
  }
}

run "ecr" {
  command = plan

  variables {
    runner_worker     = { ssm_access = true }
    runner_worker_ecr = { pull_through_prefixes = ["docker-hub"], repositories = ["team"] }
    runners = {
      spot = { fleet = { instance_types = ["c8g.large"], ecr = { registries = ["123456789012.dkr.ecr.eu-central-1.amazonaws.com"] } } }
    }
  }

  assert {
    condition     = [for one in jsondecode(aws_iam_role_policy.worker[0].policy).Statement : one.Sid] == ["EcrLogin", "EcrPull"] && strcontains(output.worker_policy_json, "repository/team/*")
    error_message = "login and pull"
  }
  assert {
    condition     = [for one in jsondecode(aws_iam_role_policy.worker_extra[0].policy).Statement : one.Sid] == ["EcrPullThrough", "SessionManager"]
    error_message = "pull-through and Session Manager"
  }
  assert {
    condition     = strcontains(output.config_toml, "ecr = {\"registries\" = [\"123456789012.dkr.ecr.eu-central-1.amazonaws.com\"]}")
    error_message = output.config_toml
  }
}

run "doctor" {
  command = plan

  variables {
    runner_role         = { doctor = true }
    runner_worker_cache = { bucket = "ci-cache" }
  }

  assert {
    condition     = [for one in jsondecode(output.manager_policy_json).Statement : one.Resource if one.Sid == "DoctorLooksAtTheWorkersRole"] == [["arn:aws:iam::123456789012:role/ci-worker", "arn:aws:iam::123456789012:instance-profile/ci-worker"]]
    error_message = "doctor may look at the workers' role"
  }
}

run "watched" {
  command = plan

  variables {
    runner_cloudwatch = { enable = true, retention_days = 7 }
    runner_alarm      = { enable = true, minutes = 5, alarm_actions = ["arn:aws:sns:eu-central-1:123456789012:ci"] }
    runner_manager    = { prometheus_listen_address = ":9300" }
  }

  assert {
    condition     = aws_cloudwatch_log_group.manager[0].name == "/runner-fleet/ci" && aws_cloudwatch_log_group.manager[0].retention_in_days == 7 && output.log_group_name == "/runner-fleet/ci"
    error_message = "a log group"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.manager[0].treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.manager[0].evaluation_periods == 5 && aws_cloudwatch_metric_alarm.manager[0].alarm_actions == toset(["arn:aws:sns:eu-central-1:123456789012:ci"])
    error_message = "silence rings, too"
  }
  assert {
    condition     = contains([for one in jsondecode(aws_iam_role_policy.host[0].policy).Statement : one.Sid], "ShipLogs") && contains([for one in jsondecode(aws_iam_role_policy.host[0].policy).Statement : one.Sid], "TellWhetherReady")
    error_message = "the host may tell"
  }
  assert {
    condition     = strcontains(local.settings, "READY_URL='http://127.0.0.1:9300/readyz'") && strcontains(local.settings, "LOG_GROUP='/runner-fleet/ci'")
    error_message = local.settings
  }
  assert {
    condition     = length(setsubtract(values(local.log_files), [for one in local.written_files : one.path])) + length(setsubtract(values(local.ready_files), [for one in local.written_files : one.path])) == 0
    error_message = "their scripts and units are there"
  }
  assert {
    condition     = strcontains(output.dashboard_command, "portNumber=9300,localPortNumber=9252")
    error_message = output.dashboard_command
  }
}

run "configuration_of_ones_own" {
  command = plan

  variables {
    runners            = {}
    config_toml        = "concurrent = 1\n[fleet]\nmanager = \"ci\"\n[[runners]]\nname = \"mine\"\nurl = \"https://gitlab.example.com:8443\"\n[runners.fleet]\nssh_port = 2222\nsecurity_groups = [\"{{worker_security_group_id}}\"]\ninstance_profile = \"{{worker_instance_profile}}\"\n"
    runner_role        = { policy_json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
    runner_worker_role = { create_role_profile = true }
  }

  assert {
    condition     = strcontains(output.config_toml, "security_groups = [\"sg-0123456789abcdef0\"]\ninstance_profile = \"ci-worker\"")
    error_message = output.config_toml
  }
  assert {
    condition     = aws_iam_role_policy.manager[0].policy == "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
    error_message = "with the policy that was printed for it"
  }
  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.worker_from_manager) == ["22", "2222"] && keys(aws_vpc_security_group_egress_rule.manager_to_gitlab) == ["8443"]
    error_message = "the ports that it names, and SSH's usual one"
  }
}

run "gitlab_of_ones_own" {
  command = plan

  variables {
    runner_gitlab = {
      url                                           = "https://gitlab.example.com:8443"
      preregistered_runner_token_ssm_parameter_name = "/aws/reference/secretsmanager/ci/runner"
      api_token_ssm_parameter_name                  = "/ci/api"
      ca_certificate                                = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
    }
  }

  assert {
    condition     = keys(aws_vpc_security_group_egress_rule.manager_to_gitlab) == ["8443"]
    error_message = "the manager may reach GitLab's port"
  }
  assert {
    condition     = [for one in jsondecode(aws_iam_role_policy.host[0].policy).Statement : one.Resource if one.Sid == "ReadSecrets"] == [["arn:aws:secretsmanager:eu-central-1:123456789012:secret:ci/runner-??????"]]
    error_message = "a secret of Secrets Manager may be read"
  }
  assert {
    condition     = strcontains(output.config_toml, "tls-ca-file = \"/etc/runner-fleet/gitlab-ca.pem\"") && contains([for one in local.written_files : one.path], "/etc/runner-fleet/gitlab-ca.pem")
    error_message = "the certificates lie on the host"
  }
}

run "key_on_the_host" {
  command = plan

  variables {
    runner_manager = { ssh_key_ssm_parameter_name = "" }
  }

  assert {
    condition     = !strcontains(output.config_toml, "ssh_key") && !strcontains(output.manager_policy_json, "KeepSshKey") && output.ssh_key_parameter_name == null
    error_message = "no parameter, no right"
  }
}

run "scripts" {
  command = plan

  variables {
    runner_install = { pre_install_script = "#!/bin/sh\necho pre\n", post_install_script = "#!/bin/sh\necho post\n" }
    runner_manager = { environment_variables = { HTTPS_PROXY = "http://proxy:3128" }, extra = jsonencode({ shutdown_timeout = 30, fleet = { state_dir = "/srv/fleet" } }) }
    runners = {
      spot = {
        extra = jsonencode({ feature_flags = { FF_X = true }, docker = { new_key = 1 }, id = 7 })
        fleet = { instance_types = ["c8g.large"], ssh_port = 2222, setup_script = "#!/bin/sh\n" }
      }
    }
  }

  assert {
    condition     = length(setsubtract(["/usr/local/lib/runner-fleet/pre-install", "/usr/local/lib/runner-fleet/post-install", "/etc/runner-fleet/setup-spot"], [for one in local.written_files : one.path])) == 0
    error_message = "the scripts lie on the host"
  }
  assert {
    condition     = one([for one in local.written_files : one.content if one.path == "/etc/runner-fleet/environment"]) == "AWS_REGION='eu-central-1'\nHTTPS_PROXY='http://proxy:3128'\n"
    error_message = "the service's environment"
  }
  assert {
    condition     = strcontains(output.config_toml, "setup_script = \"/etc/runner-fleet/setup-spot\"") && strcontains(output.config_toml, "state_dir = \"/srv/fleet\"") && strcontains(output.config_toml, "\nshutdown_timeout = 30\n")
    error_message = output.config_toml
  }
  assert {
    condition     = strcontains(output.config_toml, "\nid = 7\n") && strcontains(output.config_toml, "  new_key = 1\n") && strcontains(output.config_toml, "  [runners.feature_flags]\n  FF_X = true\n")
    error_message = output.config_toml
  }
  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.worker_from_manager) == ["2222"] && keys(aws_vpc_security_group_egress_rule.manager_to_workers) == ["2222"]
    error_message = "the groups know the workers' port"
  }
}

run "rules_of_ones_own" {
  command = plan

  variables {
    runner_ingress_rules        = { metrics = { protocol = "tcp", from_port = 9252, to_port = 9252, description = "Prometheus", cidr_block = "10.0.0.0/8" } }
    runner_egress_rules         = {}
    runner_worker_ingress_rules = { ping = { protocol = "icmp", from_port = 8, to_port = 0, description = "ping", security_group = "sg-0a1b2c3d4e5f60718" } }
    runner_worker_egress_rules  = { all = { protocol = "-1", description = "anything", cidr_block = "0.0.0.0/0" } }
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.manager["metrics"].cidr_ipv4 == "10.0.0.0/8" && aws_vpc_security_group_ingress_rule.worker["ping"].referenced_security_group_id == "sg-0a1b2c3d4e5f60718"
    error_message = "who is asked for comes in"
  }
  assert {
    condition     = length(aws_vpc_security_group_egress_rule.manager) == 0 && keys(aws_vpc_security_group_egress_rule.worker) == ["all"]
    error_message = "what is said replaces the defaults"
  }
}

run "government_cloud" {
  command = plan

  override_data {
    target = data.aws_partition.here
    values = { partition = "aws-us-gov", dns_suffix = "amazonaws.com" }
  }
  override_data {
    target = data.aws_region.here
    values = { region = "us-gov-west-1" }
  }

  variables {
    runners = {
      spot = {
        fleet = {
          instance_types   = ["c7g.large"]
          instance_profile = "arn:aws-us-gov:iam::123456789012:instance-profile/ci/worker"
          ecr              = { registries = ["123456789012.dkr.ecr.us-gov-west-1.amazonaws.com"] }
        }
      }
    }
    runner_worker_cache = { bucket = "ci-cache" }
  }

  assert {
    condition     = !strcontains(output.manager_policy_json, "arn:aws:") && strcontains(output.worker_policy_json, "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/*")
    error_message = "every ARN is of this partition"
  }
  assert {
    condition     = [for one in jsondecode(output.manager_policy_json).Statement : one.Resource if one.Sid == "GiveWorkersTheirRole"] == [["arn:aws-us-gov:iam::123456789012:role/worker"]]
    error_message = "the role of a profile that is named by its ARN"
  }
}
