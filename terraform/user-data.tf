# What the host is told at its first boot: the configuration, and how to get the package. Nothing in it is secret.

locals {
  settings = join("\n", [
    "# Of the installation, by Terraform. Read by ${local.install}.",
    "PACKAGE_URL='${var.runner_package.url}'",
    "PACKAGE_SHA256='${var.runner_package.sha256}'",
    "AWS_REGION='${local.region}'",
    "MANAGER='${var.environment}'",
    "LOG_GROUP='${var.runner_cloudwatch.enable ? local.log_group : ""}'",
    "READY_URL='${var.runner_alarm.enable ? "http://127.0.0.1:${reverse(split(":", var.runner_manager.prometheus_listen_address))[0]}/readyz" : ""}'",
    "",
  ])
  environment = merge({ AWS_REGION = local.region }, var.runner_manager.environment_variables)
  install     = "/usr/local/lib/runner-fleet/install.sh"

  log_files = {
    "logs.sh"                      = "/usr/local/lib/runner-fleet/logs.sh"
    "runner-fleet-logs.service"    = "/etc/systemd/system/runner-fleet-logs.service"
    "runner-fleet-journal.service" = "/etc/systemd/system/runner-fleet-journal.service"
    "runner-fleet-log.logrotate"   = "/etc/logrotate.d/runner-fleet"
  }
  log_agent = jsonencode({
    agent = { run_as_user = "root" }
    logs = { logs_collected = { files = { collect_list = [{
      file_path       = "/var/log/runner-fleet.log"
      log_group_name  = local.log_group
      log_stream_name = "{instance_id}"
    }] } } }
  })
  ready_files = {
    "ready.sh"                   = "/usr/local/lib/runner-fleet/ready.sh"
    "runner-fleet-ready.service" = "/etc/systemd/system/runner-fleet-ready.service"
    "runner-fleet-ready.timer"   = "/etc/systemd/system/runner-fleet-ready.timer"
  }

  written_files = concat(
    [
      { path = "${local.etc}/config.toml", permissions = "0640", content = local.config_toml },
      { path = "${local.etc}/environment", permissions = "0600", content = join("", [for name, value in local.environment : "${name}='${value}'\n"]) },
      { path = "/etc/default/runner-fleet-install", permissions = "0644", content = local.settings },
      { path = local.install, permissions = "0755", content = file("${path.module}/files/install.sh") },
      { path = "/usr/local/lib/runner-fleet/farewell.sh", permissions = "0755", content = file("${path.module}/files/farewell.sh") },
      { path = "/etc/systemd/system/runner-fleet-farewell.service", permissions = "0644", content = file("${path.module}/files/runner-fleet-farewell.service") },
    ],
    [for content in [var.runner_gitlab.ca_certificate] : { path = local.ca_file, permissions = "0644", content = content } if content != ""],
    [
      for name, runner in var.runners : { path = "${local.etc}/setup-${name}", permissions = "0640", content = runner.fleet.setup_script }
      if runner.fleet.setup_script != null
    ],
    [
      for file, place in local.log_files :
      { path = place, permissions = endswith(place, ".sh") ? "0755" : "0644", content = file("${path.module}/files/${file}") } if var.runner_cloudwatch.enable
    ],
    [for content in [local.log_agent] : { path = "/etc/default/runner-fleet-logs.json", permissions = "0644", content = content } if var.runner_cloudwatch.enable],
    [
      for file, place in local.ready_files :
      { path = place, permissions = endswith(place, ".sh") ? "0755" : "0644", content = file("${path.module}/files/${file}") } if var.runner_alarm.enable
    ],
    [
      for when, script in { pre = var.runner_install.pre_install_script, post = var.runner_install.post_install_script } :
      { path = "/usr/local/lib/runner-fleet/${when}-install", permissions = "0700", content = script } if script != ""
    ],
  )

  cloud_config = "#cloud-config\n${yamlencode({ write_files = local.written_files, runcmd = [[local.install]] })}"
  user_data    = base64gzip(local.cloud_config)

  # The same with the placeholder, of which all is known at plan.
  user_data_plan = base64gzip(local.cloud_config_plan)
  cloud_config_plan = "#cloud-config\n${yamlencode({
    write_files = [for one in local.written_files : merge(one, one.path == "${local.etc}/config.toml" ? { content = local.config_plan } : { content = one.content })]
    runcmd      = [[local.install]]
  })}"
}
