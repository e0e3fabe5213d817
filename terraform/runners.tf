# The runners with everything that the user left to the module, and what is asked of them.

locals {
  # A `g` among a family's attributes (c8gd), or the family a1, is Graviton.
  graviton     = "^(a1[.]|[a-z]+[0-9]+[a-z]*g)"
  manager_arch = can(regex(local.graviton, var.runner_instance.type)) ? "arm64" : "amd64"
  runner_arches = {
    for name, runner in var.runners :
    name => distinct([for type in runner.fleet.instance_types : can(regex(local.graviton, type)) ? "arm64" : "amd64"])
  }

  # The tokens' parameters, and GitLab's address.
  gitlab = {
    for name, runner in var.runners : name => {
      url       = coalesce(runner.url, var.runner_gitlab.url)
      clone_url = try(coalesce(runner.clone_url, var.runner_gitlab.url_clone), null)
      token     = try(coalesce(runner.token_ssm_parameter_name, var.runner_gitlab.preregistered_runner_token_ssm_parameter_name), null)
      api_token = try(coalesce(runner.api_token_ssm_parameter_name, var.runner_gitlab.api_token_ssm_parameter_name), null)
    }
  }

  # The idle values in force at some time: a runner's own, and those of each entry of its schedule.
  idle_in_force = flatten([
    for name, runner in var.runners : [
      for entry in concat([{}], coalesce(runner.fleet.schedule, [])) : {
        idle_count     = coalesce(try(entry.idle_count, null), runner.fleet.idle_count, "0")
        idle_count_min = coalesce(try(entry.idle_count_min, null), runner.fleet.idle_count_min, 0)
        sees_queue     = local.gitlab[name].api_token != null
        # Without a factor the count itself is what is always there.
        floor = (
          coalesce(try(entry.idle_scale_factor, null), runner.fleet.idle_scale_factor, 0) > 0
          || coalesce(try(entry.idle_count, null), runner.fleet.idle_count, "0") == "auto"
          ? tostring(coalesce(try(entry.idle_count_min, null), runner.fleet.idle_count_min, 0))
          : coalesce(try(entry.idle_count, null), runner.fleet.idle_count, "0")
        )
        slots = coalesce(runner.fleet.capacity, 1) * coalesce(
          try(entry.max_workers, null),
          runner.fleet.max_workers,
          coalesce(runner.limit, 0) > 0
          ? ceil(coalesce(runner.limit, 0) / coalesce(runner.fleet.capacity, 1))
          : max(1, floor(var.runner_manager.maximum_concurrent_jobs / coalesce(runner.fleet.capacity, 1))),
        )
      }
    ]
  ])

  # The workers' SSH ports, at which the groups let the manager in. Of a config_toml that much is understood.
  ssh_ports = toset(concat(
    [for runner in values(var.runners) : tostring(coalesce(runner.fleet.ssh_port, 22))],
    var.config_toml == null ? [] : concat(["22"], flatten(regexall("(?m)^\\s*ssh_port\\s*=\\s*([0-9]+)", var.config_toml))),
  ))

  # GitLab's ports besides 443, which the manager must reach as well.
  gitlab_urls = concat(
    [for gitlab in values(local.gitlab) : gitlab.url],
    var.config_toml == null ? [] : flatten(regexall("(?m)^\\s*url\\s*=\\s*[\"']([^\"']+)", var.config_toml)),
  )
  gitlab_ports = toset([
    for url in local.gitlab_urls : try(regex(":([0-9]+)(?:/|$)", url)[0], "80")
    if can(regex(":[0-9]+(/|$)", url)) || startswith(url, "http://")
  ])

  has_ecr   = anytrue([for runner in values(var.runners) : runner.fleet.ecr != null])
  has_cache = var.runner_worker_cache.create || var.runner_worker_cache.bucket != ""
}
