# The manager: its package, its host, its process, its rights.

variable "runner_package" {
  description = <<-EOT
    The package of runner-fleet that the manager's host installs, a .rpm for Amazon Linux or a .deb for Debian. Change it to upgrade.

    url = Where it lies: `https://…`, or `s3://bucket/key`, which the manager's role may then read.
    sha256 = Its checksum, from the release's SHA256SUMS. Nothing unverified is installed.
  EOT
  type = object({
    url    = string
    sha256 = string
  })

  validation {
    condition     = can(regex("^(https://[^/]+/|s3://[a-z0-9.-]{3,63}/|file:///)[A-Za-z0-9._~/:?#@!$&()*+,;=%-]+$", var.runner_package.url))
    error_message = "runner_package.url: write https://… or s3://bucket/key, without spaces and quotes."
  }
  validation {
    condition     = can(regex("[.](rpm|deb)([?#].*)?$", var.runner_package.url))
    error_message = "runner_package.url: write the address of a .rpm (Amazon Linux) or a .deb (Debian)."
  }
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.runner_package.sha256))
    error_message = "runner_package.sha256: write the 64 small hex digits that the release's SHA256SUMS has for this file."
  }
  validation {
    condition     = endswith(split("?", var.runner_package.url)[0], var.runner_image == "debian-13" ? ".deb" : ".rpm") || var.runner_ami_id != ""
    error_message = "runner_package.url: runner_image = \"${var.runner_image}\" installs a ${var.runner_image == "debian-13" ? ".deb" : ".rpm"}; write the address of one, or the other runner_image."
  }
  validation {
    # A file's name that tells no processor is taken as it is; the host looks into the package.
    condition = !can(regex(
      local.manager_arch == "arm64" ? "(amd64|x86_64)[.](rpm|deb)" : "(arm64|aarch64)[.](rpm|deb)", var.runner_package.url
    ))
    error_message = "runner_package.url: ${var.runner_instance.type} is ${local.manager_arch}; write the address of the package for ${local.manager_arch == "arm64" ? "arm64 (aarch64)" : "amd64 (x86_64)"}, or another runner_instance.type."
  }
}

variable "runner_image" {
  description = "System of the manager's host, the newest image by AWS' or Debian's public SSM parameter: `amazon-linux-2023` or `debian-13`."
  type        = string
  default     = "amazon-linux-2023"

  validation {
    condition     = contains(["amazon-linux-2023", "debian-13"], var.runner_image)
    error_message = "runner_image: write \"amazon-linux-2023\" or \"debian-13\"; another image of these kinds goes into runner_ami_id."
  }
}

variable "runner_ami_id" {
  description = "Image of the manager's host instead of the newest of `runner_image`: for one that you made, or to pin. It needs cloud-init, curl, and dnf or apt."
  type        = string
  default     = ""

  validation {
    condition     = var.runner_ami_id == "" || startswith(var.runner_ami_id, "ami-")
    error_message = "runner_ami_id: write the id of an image, like \"ami-0123456789abcdef0\", or leave it out."
  }
}

variable "runner_instance" {
  description = <<-EOT
    The manager's host.

    additional_tags = Tags of the host besides `tags`.
    max_lifetime_seconds = Replace the host when it is so old: at least 86400. Jobs go on meanwhile.
    monitoring = EC2's detailed monitoring, for money.
    name = The host's Name tag. Default: `environment` with `-manager`.
    private_address_only = No public address. With `false` it gets one, for subnets whose way out is an internet gateway.
    root_device_config = Its disk: `volume_size` (GiB), `volume_type`, `device_name`. Always encrypted.
    ssm_access = Let people with the right to do so open a shell and reach the dashboard, by Session Manager. Default: on Amazon Linux yes; Debian's image has no agent for it: install one with `runner_install`, and write `true`.
    type = Instance type. Memory for thousands of jobs: t4g.micro (1 GiB) has plenty.
  EOT
  type = object({
    additional_tags      = optional(map(string), {})
    max_lifetime_seconds = optional(number)
    monitoring           = optional(bool, false)
    name                 = optional(string)
    private_address_only = optional(bool, true)
    root_device_config = optional(object({
      volume_size = optional(number, 8)
      volume_type = optional(string, "gp3")
      device_name = optional(string, "/dev/xvda")
    }), {})
    ssm_access = optional(bool)
    type       = optional(string, "t4g.micro")
  })
  default = {}

  validation {
    condition     = can(regex("^[a-z0-9-]+[.][a-z0-9-]+$", var.runner_instance.type))
    error_message = "runner_instance.type: write an instance type, like \"t4g.micro\"."
  }
  validation {
    condition     = try(var.runner_instance.max_lifetime_seconds >= 86400 && var.runner_instance.max_lifetime_seconds <= 31536000, var.runner_instance.max_lifetime_seconds == null)
    error_message = "runner_instance.max_lifetime_seconds: EC2 takes 86400 (a day) to 31536000 (a year)."
  }
  validation {
    condition     = contains(["gp3", "gp2"], var.runner_instance.root_device_config.volume_type) && var.runner_instance.root_device_config.volume_size >= 8
    error_message = "runner_instance.root_device_config: write volume_type = \"gp3\" or \"gp2\", and a volume_size of 8 GiB or more, as the images need."
  }
  validation {
    condition     = length([for key in keys(var.runner_instance.additional_tags) : key if startswith(lower(key), "runner-fleet:") || startswith(lower(key), "aws:")]) == 0
    error_message = "runner_instance.additional_tags: keys that begin with runner-fleet: say whose a worker is: the manager would end its own host. Choose other keys."
  }
}

variable "runner_manager" {
  description = <<-EOT
    The process: the top of config.toml.

    connection_max_age = GitLab Runner's key of this name, for the workers.
    environment_variables = Of the service and of the installation, like HTTPS_PROXY. Not secret: they lie in the user-data.
    extra = More top-level keys and `[fleet]` keys, as `jsonencode({ … })`; what stands there wins.
    gitlab_check_interval = Seconds between two looks at the queue (check_interval).
    log_format = `text` or `json`.
    log_level = `error`, `warn`, `info`, `debug`, `trace`.
    maximum_concurrent_jobs = Jobs at one time over all runners (concurrent).
    prometheus_listen_address = Dashboard, metrics, health (listen_address). Open it to others with `runner_ingress_rules`.
    sentry_dsn = GitLab Runner's key of this name, for the workers. It is in state and user-data; leave it out if that is too public.
    ssh_key_ssm_parameter_name = Where the manager keeps its SSH key, so that a new host reaches the workers of the old one. The manager makes the parameter itself. Default: `/runner-fleet/ENVIRONMENT/ssh-key`; "" keeps the key on the host alone.
  EOT
  type = object({
    connection_max_age         = optional(string)
    environment_variables      = optional(map(string), {})
    extra                      = optional(string)
    gitlab_check_interval      = optional(number, 3)
    log_format                 = optional(string, "text")
    log_level                  = optional(string, "info")
    maximum_concurrent_jobs    = optional(number, 10)
    prometheus_listen_address  = optional(string, "127.0.0.1:9252")
    sentry_dsn                 = optional(string)
    ssh_key_ssm_parameter_name = optional(string)
  })
  default = {}

  validation {
    condition     = var.runner_manager.maximum_concurrent_jobs >= 1 && floor(var.runner_manager.maximum_concurrent_jobs) == var.runner_manager.maximum_concurrent_jobs
    error_message = "runner_manager.maximum_concurrent_jobs: write a whole number, 1 or more: jobs at one time over all runners."
  }
  validation {
    condition     = var.runner_manager.gitlab_check_interval >= 0 && var.runner_manager.gitlab_check_interval <= 600
    error_message = "runner_manager.gitlab_check_interval: write 1 to 600 seconds."
  }
  validation {
    condition     = contains(["error", "warn", "info", "debug", "trace"], var.runner_manager.log_level)
    error_message = "runner_manager.log_level: write \"error\", \"warn\", \"info\", \"debug\" or \"trace\"."
  }
  validation {
    condition     = contains(["text", "json"], var.runner_manager.log_format)
    error_message = "runner_manager.log_format: write \"text\" or \"json\"."
  }
  validation {
    condition     = can(regex("^$|:[0-9]{1,5}$", var.runner_manager.prometheus_listen_address))
    error_message = "runner_manager.prometheus_listen_address: write ADDRESS:PORT, like \"127.0.0.1:9252\", \":9252\" for every interface, or \"\" for none."
  }
  validation {
    condition     = var.runner_manager.ssh_key_ssm_parameter_name == null || can(regex("^(/[A-Za-z0-9_./-]+)?$", var.runner_manager.ssh_key_ssm_parameter_name))
    error_message = "runner_manager.ssh_key_ssm_parameter_name: write the full name of a parameter, like \"/runner-fleet/ci/ssh-key\", or \"\" to keep the key on the host."
  }
  validation {
    condition     = alltrue([for name, value in var.runner_manager.environment_variables : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name)) && !can(regex("['\n]", value))])
    error_message = "runner_manager.environment_variables: names are letters, digits and _; values have no ' and no line break."
  }
  validation {
    condition     = var.runner_manager.extra == null || can(keys(jsondecode(var.runner_manager.extra)))
    error_message = "runner_manager.extra: write jsonencode({ … }) with top-level keys of config.toml."
  }
}

variable "runner_gitlab" {
  description = <<-EOT
    GitLab, for every runner that names nothing else. Tokens are only named here: make the parameters yourself (SecureString), and
    rotate them without Terraform. A secret of Secrets Manager is named `/aws/reference/secretsmanager/NAME`.

    api_token_ssm_parameter_name = SSM parameter with a token of scope read_api, which sees the queue. Without it `idle_count` must be 1 or more.
    ca_certificate = Trusted CA certificates (PEM), if GitLab has one of your own; for the service and the workers.
    insecure_http = Allow http:// addresses. Tokens then cross the network in the open.
    preregistered_runner_token_ssm_parameter_name = SSM parameter with the runner's authentication token (glrt-…).
    url = GitLab's address.
    url_clone = Another address to clone from.
  EOT
  type = object({
    api_token_ssm_parameter_name                  = optional(string)
    ca_certificate                                = optional(string, "")
    insecure_http                                 = optional(bool, false)
    preregistered_runner_token_ssm_parameter_name = optional(string)
    url                                           = optional(string, "https://gitlab.com")
    url_clone                                     = optional(string)
  })
  default = {}

  validation {
    condition     = can(regex(var.runner_gitlab.insecure_http ? "^https?://[^/ ]+" : "^https://[^/ ]+", var.runner_gitlab.url))
    error_message = "runner_gitlab.url: write https://…; tokens go over this connection (insecure_http = true allows http://)."
  }
  validation {
    condition = alltrue([
      for name in [var.runner_gitlab.api_token_ssm_parameter_name, var.runner_gitlab.preregistered_runner_token_ssm_parameter_name] :
      name == null || can(regex("^/[A-Za-z0-9_./-]+$", name))
    ])
    error_message = "runner_gitlab: write the full name of the SSM parameter that holds the token, like \"/ci/runner-token\", never the token."
  }
  validation {
    condition     = var.runner_gitlab.ca_certificate == "" || can(regex("-----BEGIN CERTIFICATE-----", var.runner_gitlab.ca_certificate))
    error_message = "runner_gitlab.ca_certificate: write the certificates as PEM text, like file(\"ca.pem\")."
  }
}

variable "runner_role" {
  description = <<-EOT
    The manager's role.

    additional_tags = Tags of the role besides `tags`.
    create_role_profile = Make the role and its instance profile. With `false` write `instance_profile_arn`; output `manager_policy_json` is what its role needs.
    doctor = Let `runner-fleet doctor` on the host look at quotas, security groups and the workers' role as well.
    instance_profile_arn = ARN of an instance profile that you made.
    policy_arns = More policies for the role.
    policy_json = The manager's policy instead of the module's, as `runner-fleet iam-policy --manager` prints it. Needed with `config_toml`, of which the module knows nothing.
  EOT
  type = object({
    additional_tags      = optional(map(string), {})
    create_role_profile  = optional(bool, true)
    doctor               = optional(bool, false)
    instance_profile_arn = optional(string)
    policy_arns          = optional(list(string), [])
    policy_json          = optional(string)
  })
  default = {}

  validation {
    condition     = var.runner_role.create_role_profile || var.runner_role.instance_profile_arn != null
    error_message = "runner_role: with create_role_profile = false write instance_profile_arn, the profile that you made."
  }
  validation {
    condition     = var.runner_role.instance_profile_arn == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:instance-profile/", var.runner_role.instance_profile_arn))
    error_message = "runner_role.instance_profile_arn: write the ARN of an instance profile, like \"arn:aws:iam::123456789012:instance-profile/ci-manager\"; the role's ARN will not do."
  }
  validation {
    condition     = var.runner_role.policy_json == null || can(jsondecode(var.runner_role.policy_json).Statement)
    error_message = "runner_role.policy_json: write what `runner-fleet iam-policy --manager` printed, like file(\"manager.json\")."
  }
}

variable "runner_networking" {
  description = <<-EOT
    security_group_description = Description of the manager's security group.
    security_group_ids = More security groups of the manager.
  EOT
  type = object({
    security_group_description = optional(string, "runner-fleet manager")
    security_group_ids         = optional(list(string), [])
  })
  default = {}
}

variable "runner_ingress_rules" {
  description = <<-EOT
    Who may reach the manager, by a name of yours. Nobody needs to: the dashboard is reached by Session Manager.

    cidr_block, ipv6_cidr_block, prefix_list_id, security_group = From whom: exactly one of them.
    description = What it is for, as the console shows it.
    from_port, to_port = The ports; for icmp type and code.
    protocol = `tcp`, `udp`, `icmp`, `icmpv6`, or `-1` for all.
  EOT
  type = map(object({
    from_port       = optional(number)
    to_port         = optional(number)
    protocol        = string
    description     = string
    cidr_block      = optional(string)
    ipv6_cidr_block = optional(string)
    prefix_list_id  = optional(string)
    security_group  = optional(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for rule in values(var.runner_ingress_rules) : contains(["-1", "tcp", "udp", "icmp", "icmpv6"], rule.protocol)])
    error_message = "runner_ingress_rules: write protocol = \"tcp\", \"udp\", \"icmp\", \"icmpv6\" or \"-1\"."
  }
  validation {
    condition = alltrue([
      for rule in values(var.runner_ingress_rules) :
      length([for source in [rule.cidr_block, rule.ipv6_cidr_block, rule.prefix_list_id, rule.security_group] : true if source != null]) == 1
    ])
    error_message = "runner_ingress_rules: write exactly one of cidr_block, ipv6_cidr_block, prefix_list_id and security_group in each rule."
  }
}

variable "runner_egress_rules" {
  description = <<-EOT
    What the manager may reach, by a name of yours, besides the workers' SSH port and other ports of GitLab: HTTPS to anywhere.

    cidr_block, ipv6_cidr_block, prefix_list_id, security_group = To whom: exactly one of them.
    description = What it is for, as the console shows it.
    from_port, to_port = The ports; for icmp type and code.
    protocol = `tcp`, `udp`, `icmp`, `icmpv6`, or `-1` for all.
  EOT
  type = map(object({
    from_port       = optional(number)
    to_port         = optional(number)
    protocol        = string
    description     = string
    cidr_block      = optional(string)
    ipv6_cidr_block = optional(string)
    prefix_list_id  = optional(string)
    security_group  = optional(string)
  }))
  default = {
    allow_https_ipv4 = {
      cidr_block  = "0.0.0.0/0"
      from_port   = 443
      to_port     = 443
      protocol    = "tcp"
      description = "HTTPS to GitLab and AWS"
    }
    allow_https_ipv6 = {
      ipv6_cidr_block = "::/0"
      from_port       = 443
      to_port         = 443
      protocol        = "tcp"
      description     = "HTTPS to GitLab and AWS (IPv6)"
    }
  }

  validation {
    condition     = alltrue([for rule in values(var.runner_egress_rules) : contains(["-1", "tcp", "udp", "icmp", "icmpv6"], rule.protocol)])
    error_message = "runner_egress_rules: write protocol = \"tcp\", \"udp\", \"icmp\", \"icmpv6\" or \"-1\"."
  }
  validation {
    condition = alltrue([
      for rule in values(var.runner_egress_rules) :
      length([for target in [rule.cidr_block, rule.ipv6_cidr_block, rule.prefix_list_id, rule.security_group] : true if target != null]) == 1
    ])
    error_message = "runner_egress_rules: write exactly one of cidr_block, ipv6_cidr_block, prefix_list_id and security_group in each rule."
  }
}

variable "runner_install" {
  description = <<-EOT
    post_install_script = Script that the host runs as root after the installation.
    pre_install_script = Script that the host runs as root before it.
  EOT
  type = object({
    post_install_script = optional(string, "")
    pre_install_script  = optional(string, "")
  })
  default = {}

  validation {
    condition     = alltrue([for script in values(var.runner_install) : script == "" || startswith(script, "#!")])
    error_message = "runner_install: a script begins with the program that runs it, like \"#!/bin/sh\"."
  }
}

variable "runner_cloudwatch" {
  description = <<-EOT
    The manager's log in CloudWatch. Costs about 0.50 USD for a GB.

    enable = Make a log group, and let Amazon's CloudWatch agent ship the journal of service and installation to it. Amazon Linux only.
    log_group_name = Its name. Default: `/runner-fleet/ENVIRONMENT`.
    retention_days = How long lines are kept; 0 is for ever.
  EOT
  type = object({
    enable         = optional(bool, false)
    log_group_name = optional(string)
    retention_days = optional(number, 30)
  })
  default = {}

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.runner_cloudwatch.retention_days)
    error_message = "runner_cloudwatch.retention_days: CloudWatch takes 0 (for ever), 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
  validation {
    condition     = !(var.runner_cloudwatch.enable && var.runner_image == "debian-13")
    error_message = "runner_cloudwatch.enable: Debian has no package of the CloudWatch agent; write runner_image = \"amazon-linux-2023\", or ship the journal with runner_install.post_install_script."
  }
}

variable "runner_alarm" {
  description = <<-EOT
    An alarm when the manager is not well: each minute the host asks the service's /readyz, and tells CloudWatch; silence counts as
    not well, so that a dead host or a refused configuration rings as well. Costs about 0.85 USD a month.

    alarm_actions = ARNs that are told when it rings, and when it is over: an SNS topic, for example.
    enable = Make the alarm.
    minutes = How long it must be unwell.
  EOT
  type = object({
    alarm_actions = optional(list(string), [])
    enable        = optional(bool, false)
    minutes       = optional(number, 10)
  })
  default = {}

  validation {
    condition     = var.runner_alarm.minutes >= 1 && var.runner_alarm.minutes <= 1440 && floor(var.runner_alarm.minutes) == var.runner_alarm.minutes
    error_message = "runner_alarm.minutes: write whole minutes, 1 to 1440."
  }
  validation {
    condition     = !var.runner_alarm.enable || can(regex("^((127[.]0[.]0[.]1|0[.]0[.]0[.]0|localhost)?:[0-9]+)$", var.runner_manager.prometheus_listen_address))
    error_message = "runner_alarm.enable: the host asks the service on 127.0.0.1; write runner_manager.prometheus_listen_address = \"127.0.0.1:9252\" or \":9252\"."
  }
}
