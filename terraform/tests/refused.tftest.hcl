# What is refused at plan, a wrong value of each variable. The sentences themselves, one by one: tests/terraform/refused.py.

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

run "names" {
  command = plan

  variables {
    environment                  = "not a name"
    vpc_id                       = "main"
    subnet_ids                   = []
    tags                         = { "runner-fleet:manager" = "ci" }
    iam_object_prefix            = "a b"
    iam_permissions_boundary_arn = "boundary"
    kms_key_id                   = "alias/ci"
  }

  expect_failures = [
    var.environment, var.vpc_id, var.subnet_ids, var.tags, var.iam_object_prefix, var.iam_permissions_boundary_arn, var.kms_key_id,
  ]
}

run "manager" {
  command = plan

  variables {
    runner_image         = "ubuntu"
    runner_ami_id        = "al2023"
    runner_instance      = { type = "micro" }
    runner_manager       = { maximum_concurrent_jobs = 0, log_level = "loud" }
    runner_gitlab        = { url = "http://gitlab.example.com" }
    runner_role          = { create_role_profile = false }
    runner_ingress_rules = { all = { protocol = "everything", description = "all", cidr_block = "0.0.0.0/0" } }
    runner_egress_rules  = { none = { protocol = "tcp", description = "to nowhere" } }
    runner_install       = { pre_install_script = "echo" }
  }

  expect_failures = [
    var.runner_image, var.runner_ami_id, var.runner_instance, var.runner_manager, var.runner_gitlab, var.runner_role,
    var.runner_ingress_rules, var.runner_egress_rules, var.runner_install,
  ]
}

run "package_log_and_alarm" {
  command = plan

  variables {
    runner_package    = { url = "http://example.com/runner-fleet.rpm", sha256 = "abc" }
    runner_cloudwatch = { retention_days = 2 }
    runner_alarm      = { minutes = 0 }
  }

  expect_failures = [var.runner_package, var.runner_cloudwatch, var.runner_alarm]
}

run "workers" {
  command = plan

  variables {
    runners = { spot = { fleet = { instance_types = ["c8g.large", "c7i.large"] } } }

    runner_worker_ecr           = { repositories = ["https://registry/app"] }
    runner_worker_cache         = { create = true, bucket = "mine" }
    runner_worker_ingress_rules = { none = { protocol = "tcp", description = "from nowhere" } }
    runner_worker_egress_rules  = { all = { protocol = "everything", description = "all", cidr_block = "0.0.0.0/0" } }
  }

  expect_failures = [
    var.runners, var.runner_worker_ecr, var.runner_worker_cache, var.runner_worker_ingress_rules,
    var.runner_worker_egress_rules,
  ]
}

run "workers_role" {
  command = plan

  variables {
    runner_worker_role = { role_arns = ["a-role"] }
  }

  expect_failures = [var.runner_worker_role]
}

run "package_of_another_processor" {
  command = plan

  variables {
    runner_instance = { type = "t3a.micro" }
  }

  expect_failures = [var.runner_package]
}

run "image_of_another_processor" {
  command = plan

  variables {
    runners = { spot = { fleet = { instance_types = ["c7i.large"], ami = "ssm:/aws/service/debian/release/12/latest/arm64" } } }
  }

  expect_failures = [var.runners]
}

run "more_idle_than_there_can_be" {
  command = plan

  variables {
    runners = { spot = { limit = 4, fleet = { instance_types = ["c8g.large"], idle_count = 5 } } }
  }

  expect_failures = [aws_launch_template.manager]
}

run "nobody_sees_the_queue" {
  command = plan

  variables {
    runner_gitlab = { preregistered_runner_token_ssm_parameter_name = "/ci/runner-token" }
  }

  expect_failures = [aws_launch_template.manager]
}

run "a_token_instead_of_its_name" {
  command = plan

  variables {
    runners = { spot = { fleet = { instance_types = ["c8g.large"] }, environment = [join("", ["TOKEN=glpat", "-notatokennotatoken00"])] } }
  }

  expect_failures = [aws_launch_template.manager]
}

run "a_configuration_of_another_manager" {
  command = plan

  variables {
    runners     = {}
    config_toml = "[fleet]\nmanager = \"other\"\n"
  }

  expect_failures = [var.config_toml]
}
