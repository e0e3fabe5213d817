# What a user of the other module has: defaults, and the inputs of its example runner-default.

mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan
}

variables {
  environment = "runners-default"
  vpc_id      = "vpc-0123456789abcdef0"
  subnet_id   = "subnet-0a1b2c3d4e5f60718"
  runner_package = {
    url    = "https://releases.example.com/runner-fleet-0.1.0-1.aarch64.rpm"
    sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
  runner_gitlab = {
    url                                           = "https://gitlab.com"
    preregistered_runner_token_ssm_parameter_name = "/ci/runner-token"
  }
  read_api_token_ssm_parameter_name = "/ci/read-api-token"
}

run "defaults" {
  command = plan
}

run "runner_default" {
  command = plan

  variables {
    runner_instance = { name = "default-auto", ssm_access = true }
    runner_worker_gitlab_pipeline = {
      pre_build_script  = <<-EOT
        '''
        echo 'multiline 1'
        echo 'multiline 2'
        '''
      EOT
      post_build_script = "\"echo 'single line'\""
    }
    runner_worker_docker_options                = { privileged = true, volumes = ["/cache", "/certs/client"] }
    runner_worker_docker_volumes_tmpfs          = [{ volume = "/var/opt/cache", options = "rw,noexec" }]
    runner_worker_docker_services_volumes_tmpfs = [{ volume = "/var/lib/mysql", options = "rw,noexec" }]
    runner_worker_docker_machine_autoscaling_options = [
      { periods = ["* * 0-9,17-23 * * mon-fri *", "* * * * * sat,sun *"], idle_count = 0, idle_time = 60, timezone = "Europe/Amsterdam" }
    ]
    tags = { "tf-aws-gitlab-runner:example" = "runner-default" }
  }

  assert {
    condition     = strcontains(module.runner_fleet.config_toml, "pre_build_script = \"echo 'multiline 1'\\n")
    error_message = "a script in TOML's quotes is taken out of them"
  }
  assert {
    condition     = strcontains(module.runner_fleet.config_toml, "post_build_script = \"echo 'single line'\"")
    error_message = "a script in double quotes, too"
  }
  assert {
    condition     = strcontains(module.runner_fleet.config_toml, "\"* 0-9,17-23 * * mon-fri\", \"* * * * sat,sun\"")
    error_message = "seven cron fields become five"
  }
}
