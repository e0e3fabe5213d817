# What becomes config.toml. Every key is documented in docs/configuration.md, GitLab Runner's own in its documentation.

variable "runners" {
  description = <<-EOT
    The runners, by name: each is a `[[runners]]` section of config.toml, with GitLab Runner's keys and `fleet` as in docs/configuration.md.

    token_ssm_parameter_name, api_token_ssm_parameter_name, url, clone_url = Where they differ from `runner_gitlab`.
    limit, output_limit, request_concurrency, environment, shell, builds_dir, cache_dir, pre_get_sources_script, post_get_sources_script, pre_build_script, post_build_script = As in GitLab Runner.
    docker = `[runners.docker]`, with the names of its keys.
    fleet = `[runners.fleet]`. What the module knows better is filled in: region, ami (Debian 13), subnets, security_groups, instance_profile, tags.
    fleet.setup_script = The text of the script, not a path: file("setup.sh").
    fleet.docker_daemon = `jsonencode({ … })`, merged into the workers' daemon.json.
    extra = More keys of the section, as `jsonencode({ … })`; tables in it are merged key by key, and win: `jsonencode({ feature_flags = { FF_USE_FASTZIP = true } })`. A cache in S3 that stands here needs its rights in `runner_worker_role.policy_arns`.
  EOT
  type = map(object({
    token_ssm_parameter_name     = optional(string)
    api_token_ssm_parameter_name = optional(string)
    url                          = optional(string)
    clone_url                    = optional(string)
    limit                        = optional(number)
    output_limit                 = optional(number)
    request_concurrency          = optional(number)
    environment                  = optional(list(string))
    shell                        = optional(string)
    builds_dir                   = optional(string)
    cache_dir                    = optional(string)
    pre_get_sources_script       = optional(string)
    post_get_sources_script      = optional(string)
    pre_build_script             = optional(string)
    post_build_script            = optional(string)
    extra                        = optional(string)

    docker = optional(object({
      allowed_images               = optional(list(string))
      allowed_privileged_images    = optional(list(string))
      allowed_privileged_services  = optional(list(string))
      allowed_pull_policies        = optional(list(string))
      allowed_services             = optional(list(string))
      allowed_users                = optional(list(string))
      cache_dir                    = optional(string)
      cap_add                      = optional(list(string))
      cap_drop                     = optional(list(string))
      cgroup_parent                = optional(string)
      container_labels             = optional(map(string))
      cpu_shares                   = optional(number)
      cpus                         = optional(string)
      cpuset_cpus                  = optional(string)
      cpuset_mems                  = optional(string)
      device_cgroup_rules          = optional(list(string))
      devices                      = optional(list(string))
      disable_cache                = optional(bool)
      disable_entrypoint_overwrite = optional(bool)
      dns                          = optional(list(string))
      dns_search                   = optional(list(string))
      enable_ipv6                  = optional(bool)
      extra_hosts                  = optional(list(string))
      gpus                         = optional(string)
      group_add                    = optional(list(string))
      helper_image                 = optional(string)
      helper_image_flavor          = optional(string)
      hostname                     = optional(string)
      image                        = optional(string, "alpine:latest")
      ipcmode                      = optional(string)
      isolation                    = optional(string)
      links                        = optional(list(string))
      log_options                  = optional(map(string))
      mac_address                  = optional(string)
      memory                       = optional(string)
      memory_reservation           = optional(string)
      memory_swap                  = optional(string)
      network_mode                 = optional(string)
      network_mtu                  = optional(number)
      oom_kill_disable             = optional(bool)
      oom_score_adjust             = optional(number)
      pid_mode                     = optional(string)
      privileged                   = optional(bool)
      pull_policy                  = optional(list(string))
      runtime                      = optional(string)
      security_opt                 = optional(list(string))
      service_cgroup_parent        = optional(string)
      service_cpu_shares           = optional(number)
      service_cpus                 = optional(string)
      service_cpuset_cpus          = optional(string)
      service_gpus                 = optional(string)
      service_memory               = optional(string)
      service_memory_reservation   = optional(string)
      service_memory_swap          = optional(string)
      services = optional(list(object({
        name        = string
        alias       = optional(string)
        command     = optional(list(string))
        entrypoint  = optional(list(string))
        environment = optional(list(string))
      })))
      services_devices          = optional(map(list(string)))
      services_limit            = optional(number)
      services_privileged       = optional(bool)
      services_security_opt     = optional(list(string))
      services_tmpfs            = optional(map(string))
      shm_size                  = optional(number)
      sysctls                   = optional(map(string))
      tmpfs                     = optional(map(string))
      ulimit                    = optional(map(string))
      user                      = optional(string)
      userns_mode               = optional(string)
      volume_driver             = optional(string)
      volume_driver_ops         = optional(map(string))
      volume_keep               = optional(bool)
      volumes                   = optional(list(string), ["/cache"])
      volumes_from              = optional(list(string))
      wait_for_services_timeout = optional(number)
    }), {})

    fleet = object({
      projects           = optional(list(string))
      groups             = optional(list(string))
      retry_interrupted  = optional(bool)
      region             = optional(string)
      ami                = optional(string)
      instance_types     = list(string)
      market             = optional(string)
      on_demand_fallback = optional(bool)
      spot_max_price     = optional(string)
      subnets            = optional(list(string))
      security_groups    = optional(list(string))
      instance_profile   = optional(string)
      address            = optional(string)
      ssh_user           = optional(string)
      ssh_port           = optional(number)
      metadata_hop_limit = optional(number)
      tags               = optional(map(string))
      max_workers        = optional(number)
      capacity           = optional(number)
      max_jobs           = optional(number)
      max_age            = optional(string)
      idle_count         = optional(string)
      target_wait        = optional(string)
      idle_time          = optional(string)
      idle_count_min     = optional(number)
      idle_count_max     = optional(number)
      idle_scale_factor  = optional(number)
      max_booting        = optional(number)
      boot_timeout       = optional(string)
      orphan_timeout     = optional(string)
      setup_script       = optional(string)
      registry_mirrors   = optional(list(string))
      docker_daemon      = optional(string)
      runner_version     = optional(string)
      runner_url         = optional(string)
      runner_sha256      = optional(string)
      root_volume = optional(object({
        size_gib   = optional(number)
        type       = optional(string)
        encrypted  = optional(bool)
        iops       = optional(number)
        throughput = optional(number)
        kms_key_id = optional(string)
        device     = optional(string)
      }))
      budget = optional(object({
        usd = number
        per = optional(string)
      }))
      proxy = optional(object({
        http     = optional(string)
        https    = optional(string)
        no_proxy = optional(list(string))
      }))
      ecr = optional(object({
        registries     = list(string)
        enabled        = optional(bool)
        in_jobs        = optional(bool)
        helper_version = optional(string)
        helper_url     = optional(string)
        helper_sha256  = optional(string)
      }))
      schedule = optional(list(object({
        periods           = list(string)
        timezone          = optional(string)
        idle_count        = optional(string)
        idle_count_min    = optional(number)
        idle_scale_factor = optional(number)
        idle_time         = optional(string)
        max_workers       = optional(number)
      })))
    })
  }))
  default = {}

  validation {
    condition     = (length(var.runners) > 0) != (var.config_toml != null)
    error_message = "runners: write at least one runner, or a whole config_toml, but not both."
  }
  validation {
    condition     = alltrue([for name in keys(var.runners) : can(regex("^[A-Za-z0-9._-]{1,64}$", name))])
    error_message = "runners: a runner's name is part of EC2 names; write 1 to 64 letters, digits, dots, underscores and dashes."
  }
  validation {
    condition = alltrue([
      for runner in values(var.runners) :
      runner.token_ssm_parameter_name != null || var.runner_gitlab.preregistered_runner_token_ssm_parameter_name != null
    ])
    error_message = "runners: a runner has no token; write token_ssm_parameter_name there, or runner_gitlab.preregistered_runner_token_ssm_parameter_name for all."
  }
  validation {
    condition = alltrue(flatten([
      for runner in values(var.runners) :
      [for name in [runner.token_ssm_parameter_name, runner.api_token_ssm_parameter_name] : name == null || can(regex("^/[A-Za-z0-9_./-]+$", name))]
    ]))
    error_message = "runners: token_ssm_parameter_name and api_token_ssm_parameter_name are full names of SSM parameters, like \"/ci/runner-token\", never the tokens."
  }
  validation {
    condition = alltrue([
      for runner in values(var.runners) :
      runner.url == null || can(regex(var.runner_gitlab.insecure_http ? "^https?://[^/ ]+" : "^https://[^/ ]+", runner.url))
    ])
    error_message = "runners: write url = \"https://…\"; tokens go over this connection."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : runner.limit == null || try(runner.limit >= 0 && floor(runner.limit) == runner.limit, false)])
    error_message = "runners: limit is a whole number of jobs at one time; 0 is no limit."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : length(runner.fleet.instance_types) > 0])
    error_message = "runners: write fleet.instance_types with at least one type, best several, like [\"c8g.large\", \"c7g.large\", \"m8g.large\"]."
  }
  validation {
    condition     = alltrue(flatten([for runner in values(var.runners) : [for type in runner.fleet.instance_types : can(regex("^[a-z0-9-]+[.][a-z0-9-]+$", type))]]))
    error_message = "runners: fleet.instance_types holds names of instance types, like \"c8g.large\"."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : length(distinct([for type in runner.fleet.instance_types : can(regex(local.graviton, type))])) <= 1])
    error_message = "runners: fleet.instance_types mixes Graviton (arm64) with Intel or AMD types; one runner has one architecture: write the others in a runner of their own."
  }
  validation {
    condition = alltrue([
      for name, runner in var.runners :
      runner.fleet.ami == null || can(regex("^(ami-[0-9a-z]+|ssm:/[A-Za-z0-9_./-]+)$", runner.fleet.ami))
    ])
    error_message = "runners: fleet.ami is the id of an image, like \"ami-0123456789abcdef0\", or \"ssm:/path/of/parameter\" that holds one."
  }
  validation {
    # A parameter's name that tells no processor is taken as it is; the manager asks EC2.
    condition = alltrue([
      for name, runner in var.runners : runner.fleet.ami == null || !can(regex(
        can(regex(local.graviton, runner.fleet.instance_types[0])) ? "^ssm:.*(amd64|x86_64)" : "^ssm:.*(arm64|aarch64)", runner.fleet.ami
      ))
    ])
    error_message = "runners: fleet.ami is an image for another processor than fleet.instance_types; Graviton types (c8g, m7g, t4g, …) need an arm64 image, Intel and AMD types an amd64 (x86_64) one."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : runner.fleet.market == null || try(contains(["spot", "on-demand"], runner.fleet.market), false)])
    error_message = "runners: write fleet.market = \"spot\" or \"on-demand\"."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : runner.fleet.address == null || try(contains(["private", "public"], runner.fleet.address), false)])
    error_message = "runners: write fleet.address = \"private\" or \"public\"."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : runner.fleet.spot_max_price == null || try(tonumber(runner.fleet.spot_max_price) > 0, false)])
    error_message = "runners: fleet.spot_max_price is in USD per hour, like 0.05; better leave it out."
  }
  validation {
    condition = alltrue([
      for runner in values(var.runners) :
      runner.fleet.subnets == null || try(length(runner.fleet.subnets) > 0 && alltrue([for id in runner.fleet.subnets : startswith(id, "subnet-")]), false)
    ])
    error_message = "runners: fleet.subnets are ids, at least one, like \"subnet-0123456789abcdef0\"; leave it out for subnet_ids."
  }
  validation {
    condition = alltrue([
      for runner in values(var.runners) :
      runner.fleet.security_groups == null || try(length(runner.fleet.security_groups) > 0 && alltrue([for id in runner.fleet.security_groups : startswith(id, "sg-")]), false)
    ])
    error_message = "runners: fleet.security_groups are ids, at least one, like \"sg-0123456789abcdef0\"; leave it out for the group that is made here."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : runner.fleet.region == null || runner.fleet.subnets != null])
    error_message = "runners: with fleet.region write fleet.subnets and fleet.security_groups of that region as well."
  }
  validation {
    condition = alltrue([
      for runner in values(var.runners) :
      runner.fleet.instance_profile == null || can(regex("^([A-Za-z0-9+=,.@_-]{1,128}|arn:[a-z-]+:iam::[0-9]{12}:instance-profile/.+)$", runner.fleet.instance_profile))
    ])
    error_message = "runners: fleet.instance_profile is the name or the ARN of an instance profile, like \"ci-worker\"; a role's ARN will not do."
  }
  validation {
    condition = alltrue(flatten([
      for runner in values(var.runners) :
      [for key in keys(coalesce(runner.fleet.tags, {})) : !startswith(lower(key), "aws:") && !startswith(lower(key), "runner-fleet:") && key != "Name"]
    ]))
    error_message = "runners: fleet.tags cannot have keys that begin with aws: or runner-fleet:, nor Name; choose other keys."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : length(merge(var.tags, coalesce(runner.fleet.tags, {}))) <= 46])
    error_message = "runners: EC2 allows 50 tags, and 4 are the manager's; write 46 or fewer in tags and fleet.tags together."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : coalesce(runner.fleet.capacity, 1) >= 1 && coalesce(runner.fleet.max_workers, 1) >= 1])
    error_message = "runners: fleet.capacity and fleet.max_workers are 1 or more."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : coalesce(runner.fleet.capacity, 1) <= var.runner_manager.maximum_concurrent_jobs])
    error_message = "runners: fleet.capacity is more than runner_manager.maximum_concurrent_jobs, so that no worker could ever start; write less, or raise the other."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : coalesce(runner.fleet.max_jobs, 0) != 1 || coalesce(runner.fleet.capacity, 1) == 1])
    error_message = "runners: fleet.max_jobs = 1 means a fresh machine for every job; write fleet.capacity = 1 with it."
  }
  validation {
    condition = alltrue(flatten([
      for runner in values(var.runners) : [
        for count in concat([runner.fleet.idle_count], [for entry in coalesce(runner.fleet.schedule, []) : entry.idle_count]) :
        count == null || can(regex("^(auto|[0-9]+)$", count))
      ]
    ]))
    error_message = "runners: fleet.idle_count is a number of free job slots, or \"auto\"; so it is in fleet.schedule."
  }
  validation {
    condition = alltrue(flatten([
      for runner in values(var.runners) : [
        for time in concat(
          [runner.fleet.max_age, runner.fleet.target_wait, runner.fleet.boot_timeout, runner.fleet.orphan_timeout],
          [for time in concat([runner.fleet.idle_time], [for entry in coalesce(runner.fleet.schedule, []) : entry.idle_time]) : time if time != "auto"],
        ) : time == null || can(regex("^([0-9]+h)?([0-9]+m)?([0-9]+s)?$|^[0-9]+$", time)) && time != ""
      ]
    ]))
    error_message = "runners: times are written like \"90s\", \"5m\", \"2h\" or \"1h30m\"; days are not a unit. Of them only fleet.idle_time may be \"auto\"."
  }
  validation {
    condition = alltrue(flatten([
      for runner in values(var.runners) :
      [for entry in coalesce(runner.fleet.schedule, []) : [for period in entry.periods : length(split(" ", trimspace(period))) == 5]]
    ]))
    error_message = "runners: fleet.schedule.periods are cron expressions of five fields, like \"* 8-18 * * mon-fri\"; docker+machine's first (seconds) and last (year) are left out."
  }
  validation {
    condition = alltrue(flatten([
      for runner in values(var.runners) : [
        for host in try(runner.fleet.ecr.registries, []) :
        can(regex("^([0-9]{12}[.](dkr[.]ecr(-fips)?|dkr-ecr(-fips)?)[.][a-z0-9-]+[.](amazonaws[.]com([.]cn)?|amazonaws[.]eu|on[.]aws|on[.]amazonwebservices[.]com[.]cn|c2s[.]ic[.]gov|sc2s[.]sgov[.]gov|cloud[.]adc-e[.]uk|csp[.]hci[.]ic[.]gov)|public[.]ecr[.]aws|ecr-public[.]aws[.]com)$", host))
      ]
    ]))
    error_message = "runners: fleet.ecr.registries holds exact hosts, without https:// and without a repository, like \"123456789012.dkr.ecr.eu-central-1.amazonaws.com\" or \"public.ecr.aws\"."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : length(try(runner.fleet.ecr.registries, ["none"])) > 0])
    error_message = "runners: fleet.ecr.registries is empty; write the registries' hosts, or leave fleet.ecr out."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : runner.extra == null || can(keys(jsondecode(runner.extra)))])
    error_message = "runners: extra is jsonencode({ … }) with keys of the [[runners]] section."
  }
  validation {
    condition     = alltrue([for runner in values(var.runners) : runner.fleet.docker_daemon == null || can(keys(jsondecode(runner.fleet.docker_daemon)))])
    error_message = "runners: fleet.docker_daemon is jsonencode({ … }) with keys of Docker's daemon.json."
  }
}

variable "config_toml" {
  description = <<-EOT
    A whole config.toml of your own instead of `runners`, for example what `runner-fleet migrate` printed. `{{worker_security_group_id}}` and
    `{{worker_instance_profile}}` in it are replaced by what is made here. Its `[fleet] manager` must be `environment`, and
    `runner_role.policy_json` must hold the manager's policy, as `runner-fleet iam-policy --manager` prints it.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.config_toml == null || can(regex("(?m)^\\s*manager\\s*=\\s*[\"']${var.environment}[\"']", var.config_toml))
    error_message = "config_toml: its [fleet] needs manager = \"${var.environment}\", the environment of this module."
  }
  validation {
    condition     = var.config_toml == null || var.runner_role.policy_json != null || !var.runner_role.create_role_profile
    error_message = "config_toml: the module cannot read it; write runner_role.policy_json = file(\"manager.json\") with what `runner-fleet iam-policy --manager` printed for it."
  }
}
