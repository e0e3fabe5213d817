# config.toml, written by hand: Terraform has no function for TOML.
#
# A value is JSON of one line first, in which TOML differs in one thing only: its tables have `=` where JSON has `:`. So that
# no colon inside a text is taken for one, a text's own quotes and backslashes become \u0022 and \u005c for the while: then
# every second piece between quotes is text, and the others are structure.

locals {
  # Ids of groups are unknown until they are made, and would make the whole text unknown with them; this stands for one.
  group_to_come = "sg-00000000000000000"

  # The sections: pairs of a heading and of lines, which are a key and a value that is JSON or null.
  config_sections = concat([
    {
      heading = null
      lines = concat([
        ["concurrent", jsonencode(var.runner_manager.maximum_concurrent_jobs)],
        ["check_interval", jsonencode(var.runner_manager.gitlab_check_interval)],
        ["listen_address", jsonencode(var.runner_manager.prometheus_listen_address)],
        ["log_level", jsonencode(var.runner_manager.log_level)],
        ["log_format", jsonencode(var.runner_manager.log_format)],
        ["connection_max_age", jsonencode(var.runner_manager.connection_max_age)],
        ["sentry_dsn", jsonencode(var.runner_manager.sentry_dsn)],
      ], [for key, value in local.manager_extra : [key, jsonencode(value)] if key != "fleet"])
    },
    {
      heading = "[fleet]"
      lines = concat([
        ["manager", jsonencode(var.environment)],
        ["ssh_key", local.ssh_key_parameter == null ? "null" : jsonencode("ssm:${local.ssh_key_parameter}")],
      ], [for key, value in try(local.manager_extra.fleet, {}) : [key, jsonencode(value)]])
    },
    ],
    flatten([for name in local.runner_names : local.runner_sections[name]])
  )

  # The manager keeps its SSH key in the region of the first runner: those of this region come first, so that a runner
  # elsewhere that is added later moves no key.
  runner_names = concat(
    [for name, runner in var.runners : name if coalesce(runner.fleet.region, local.region) == local.region],
    [for name, runner in var.runners : name if coalesce(runner.fleet.region, local.region) != local.region],
  )
  key_region = length(local.runner_names) == 0 ? local.region : coalesce(var.runners[local.runner_names[0]].fleet.region, local.region)

  manager_extra     = jsondecode(coalesce(var.runner_manager.extra, "{}"))
  ssh_key_parameter = try(var.runner_manager.ssh_key_ssm_parameter_name == "" ? null : coalesce(var.runner_manager.ssh_key_ssm_parameter_name, "/runner-fleet/${var.environment}/ssh-key"), null)

  runner_sections = {
    for name, runner in var.runners : name => concat([
      {
        heading = "[[runners]]"
        lines = concat([
          ["name", jsonencode(name)],
          ["url", jsonencode(local.gitlab[name].url)],
          ["token", jsonencode("ssm:${coalesce(local.gitlab[name].token, "/missing")}")],
          ["executor", jsonencode("docker")],
          ["clone_url", jsonencode(local.gitlab[name].clone_url)],
          ["tls-ca-file", var.runner_gitlab.ca_certificate == "" ? "null" : jsonencode(local.ca_file)],
          ],
          [
            for key in [
              "limit", "output_limit", "request_concurrency", "environment", "shell", "builds_dir", "cache_dir",
              "pre_get_sources_script", "post_get_sources_script", "pre_build_script", "post_build_script",
            ] : [key, jsonencode(runner[key])]
          ],
          [for key, value in local.runner_extra[name] : [key, jsonencode(value)] if !can(keys(value))],
        )
      },
      ],
      [
        for table in ["docker", "cache", "fleet"] : {
          heading = "  [runners.${table}]"
          lines = concat(
            [for key, value in local.runner_tables[name][table] : ["  ${key}", value] if !contains(keys(try(local.runner_extra[name][table], {})), key)],
            [for key, value in try(local.runner_extra[name][table], {}) : ["  ${key}", jsonencode(value)]],
          )
        } if length(local.runner_tables[name][table]) + length(try(local.runner_extra[name][table], {})) > 0
      ],
      [
        for table, content in local.runner_extra[name] : {
          heading = "  [runners.${table}]"
          lines   = [for key, value in content : ["  ${key}", jsonencode(value)]]
        } if can(keys(content)) && !contains(["docker", "cache", "fleet"], table)
      ],
    )
  }

  runner_extra = { for name, runner in var.runners : name => jsondecode(coalesce(runner.extra, "{}")) }

  runner_tables = {
    for name, runner in var.runners : name => {
      docker = merge(
        { for key, value in runner.docker : key => jsonencode(value) if key != "services" },
        {
          services = runner.docker.services == null ? "null" : jsonencode([
            for service in runner.docker.services : { for key, value in service : key => value if value != null }
          ])
        },
      )
      cache = { for key, value in local.cache_table : key => jsonencode(value) if local.has_cache }
      fleet = local.fleet_tables[name]
    }
  }

  cache_table = {
    Type   = "s3"
    Shared = var.runner_worker_cache.shared
    s3 = {
      ServerAddress      = "s3.${local.region}.${local.dns_suffix}"
      BucketName         = local.cache_bucket
      BucketLocation     = local.region
      AuthenticationType = "iam"
    }
  }
  dns_suffix = data.aws_partition.here.dns_suffix

  fleet_tables = {
    for name, runner in var.runners : name => merge(
      { for key, value in runner.fleet : key => jsonencode(value) if !contains(["idle_count", "schedule", "root_volume", "budget", "proxy", "ecr", "setup_script", "docker_daemon"], key) },
      {
        api_token        = local.gitlab[name].api_token == null ? "null" : jsonencode("ssm:${local.gitlab[name].api_token}")
        region           = jsonencode(coalesce(runner.fleet.region, local.region))
        ami              = jsonencode(coalesce(runner.fleet.ami, "ssm:/aws/service/debian/release/13/latest/${local.runner_arches[name][0]}"))
        subnets          = jsonencode(coalescelist(coalesce(runner.fleet.subnets, []), var.subnet_ids))
        security_groups  = jsonencode(coalescelist(coalesce(runner.fleet.security_groups, []), [local.group_to_come]))
        instance_profile = jsonencode(try(coalesce(runner.fleet.instance_profile, local.worker_profile), null))
        setup_script     = runner.fleet.setup_script == null ? "null" : jsonencode("${local.etc}/setup-${name}")
        docker_daemon    = coalesce(runner.fleet.docker_daemon, "null")
        idle_count       = local.idle_counts[coalesce(runner.fleet.idle_count, "-")]
        tags             = length(local.worker_tags[name]) == 0 ? "null" : jsonencode(local.worker_tags[name])
      },
      { for key in ["root_volume", "budget", "proxy", "ecr"] : key => runner.fleet[key] == null ? "null" : jsonencode({ for inner, value in runner.fleet[key] : inner => value if value != null }) },
      {
        schedule = runner.fleet.schedule == null ? "null" : "[${join(",", [
          for entry in runner.fleet.schedule : "{${join(",", [
            for key, value in entry : "${jsonencode(key)}:${key == "idle_count" ? local.idle_counts[coalesce(entry.idle_count, "-")] : jsonencode(value)}" if value != null
          ])}}"
        ])}]"
      },
    )
  }

  # `idle_count` is a number or "auto": here it is text, there it must not be.
  idle_counts = merge({ "-" = "null" }, {
    for count in distinct(flatten([
      for runner in values(var.runners) :
      concat([runner.fleet.idle_count], [for entry in coalesce(runner.fleet.schedule, []) : entry.idle_count])
    ])) : count => can(tonumber(count)) ? tostring(tonumber(count)) : jsonencode(count) if count != null
  })

  worker_tags = {
    for name, runner in var.runners : name => {
      for key, value in merge(local.tags, coalesce(runner.fleet.tags, {})) : key => value if key != "Name"
    }
  }

  etc     = "/etc/runner-fleet"
  ca_file = "${local.etc}/gitlab-ca.pem"

  # JSON, a line each; keys with null are left out.
  config_json = [
    for section in local.config_sections : {
      heading = section.heading
      lines = [
        for line in section.lines : {
          key  = line[0]
          json = replace(replace(line[1], "\\\\", "\\u005c"), "\\\"", "\\u0022")
        } if line[1] != "null"
      ]
    }
  ]

  # And TOML. DEL is the one control character that JSON does not escape.
  config_generated = join("\n", flatten([
    for section in local.config_json : concat(
      section.heading == null ? ["# Written by Terraform; a change here is lost with the host."] : ["", section.heading],
      [
        for line in section.lines : "${can(regex("^ *[A-Za-z0-9_-]+$", line.key)) ? line.key : jsonencode(trimspace(line.key))} = ${replace(replace(replace(replace(replace(replace(
          join("\"", [for index, piece in split("\"", line.json) : index % 2 == 0 ? replace(replace(piece, ":", " = "), ",", ", ") : piece]),
        "\\u003c", "<"), "\\u003e", ">"), "\\u0026", "&"), "\\u0022", "\\\""), "\\u005c", "\\\\"), "\u007f", "\\u007f")}"
      ],
    )
  ]))

  config_plan = var.config_toml == null ? "${local.config_generated}\n" : replace(
    replace(var.config_toml, "{{worker_security_group_id}}", local.group_to_come),
    "{{worker_instance_profile}}", coalesce(local.worker_profile, "no-instance-profile-was-made"),
  )
  config_toml = replace(local.config_plan, local.group_to_come, aws_security_group.worker.id)
}
