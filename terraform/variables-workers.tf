# The workers: their rights, their network, their cache.

variable "runner_worker" {
  description = <<-EOT
    ssm_access = Let people open a shell on workers by Session Manager, if the image has its agent. Every job that reaches the worker's role has these rights, too.
  EOT
  type = object({
    ssm_access = optional(bool, false)
  })
  default = {}
}

variable "runner_worker_role" {
  description = <<-EOT
    The workers' role. It is made when something needs it (ECR, the cache, `ssm_access`, `policy_arns`), and given to every runner that
    names no `fleet.instance_profile`.

    additional_tags = Tags of the role besides `tags`.
    create_role_profile = Make it in any case (`true`) or never (`false`).
    policy_arns = More policies for the role. Every job that reaches the role has these rights: see docs/ecr.md.
    role_arns = Roles of the instance profiles that runners bring along, where they are not named like their profiles.
  EOT
  type = object({
    additional_tags     = optional(map(string), {})
    create_role_profile = optional(bool)
    policy_arns         = optional(list(string), [])
    role_arns           = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = alltrue([for arn in var.runner_worker_role.role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/", arn))])
    error_message = "runner_worker_role.role_arns: write the ARNs of roles, like \"arn:aws:iam::123456789012:role/ci-worker\"."
  }
  validation {
    condition     = var.runner_worker_role.create_role_profile != false || !(var.runner_worker_cache.create || var.runner_worker_cache.bucket != "" || var.runner_worker.ssm_access)
    error_message = "runner_worker_role.create_role_profile: the cache and ssm_access give their rights to the role that is made here; leave create_role_profile out."
  }
}

variable "runner_worker_ecr" {
  description = <<-EOT
    The workers' rights on the registries in `runners.NAME.fleet.ecr`.

    pull_through_prefixes = Repository prefixes of pull-through cache rules: the first pull of an image makes its repository.
    push = Jobs may push with the worker's role. Better, a job that pushes assumes a role of its own with its `id_tokens`.
    repositories = Only these repositories, each with all below it, or with wildcards: `["team", "base/*"]`. Default: all.
  EOT
  type = object({
    pull_through_prefixes = optional(list(string), [])
    push                  = optional(bool, false)
    repositories          = optional(list(string), [])
  })
  default = {}

  validation {
    condition = alltrue([
      for name in concat(var.runner_worker_ecr.repositories, var.runner_worker_ecr.pull_through_prefixes) : can(regex("^[A-Za-z0-9._/*?-]+$", name))
    ])
    error_message = "runner_worker_ecr: write names of repositories without the registry, like \"team/app\" or \"team/*\"."
  }
}

variable "runner_worker_cache" {
  description = <<-EOT
    The S3 bucket for the jobs' `cache:`. Without one, every new worker begins with an empty cache.

    bucket = A bucket of yours, instead of `create`.
    bucket_prefix = Prefix of the name of the bucket that is made.
    create = Make a bucket: encrypted, private, TLS only, emptied by age.
    create_aws_s3_bucket_public_access_block = Block public access on it; `false` where a policy of the organisation does so.
    expiration_days = Delete what is older. Old versions go after one day more.
    include_account_id = Have the account in the name, which must differ from all others in the world.
    shared = All runners share one cache: cache keys alone tell entries apart.
    versioning = Keep overwritten entries until they expire.
  EOT
  type = object({
    bucket                                   = optional(string, "")
    bucket_prefix                            = optional(string, "")
    create                                   = optional(bool, false)
    create_aws_s3_bucket_public_access_block = optional(bool, true)
    expiration_days                          = optional(number, 14)
    include_account_id                       = optional(bool, true)
    shared                                   = optional(bool, false)
    versioning                               = optional(bool, false)
  })
  default = {}

  validation {
    condition     = !(var.runner_worker_cache.create && var.runner_worker_cache.bucket != "")
    error_message = "runner_worker_cache: write either create = true, or bucket, the name of one that you have."
  }
  validation {
    condition     = var.runner_worker_cache.bucket == "" || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.runner_worker_cache.bucket))
    error_message = "runner_worker_cache.bucket: write the bucket's name, 3 to 63 small letters, digits, dots and dashes, without s3://."
  }
  validation {
    condition     = can(regex("^[a-z0-9.-]{0,20}$", var.runner_worker_cache.bucket_prefix))
    error_message = "runner_worker_cache.bucket_prefix: write at most 20 small letters, digits, dots and dashes."
  }
  validation {
    condition     = var.runner_worker_cache.expiration_days >= 1 && floor(var.runner_worker_cache.expiration_days) == var.runner_worker_cache.expiration_days
    error_message = "runner_worker_cache.expiration_days: write whole days, 1 or more."
  }
}

variable "runner_worker_ingress_rules" {
  description = <<-EOT
    Who may reach the workers besides the manager, which may reach their SSH port, by a name of yours.

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
    condition     = alltrue([for rule in values(var.runner_worker_ingress_rules) : contains(["-1", "tcp", "udp", "icmp", "icmpv6"], rule.protocol)])
    error_message = "runner_worker_ingress_rules: write protocol = \"tcp\", \"udp\", \"icmp\", \"icmpv6\" or \"-1\"."
  }
  validation {
    condition = alltrue([
      for rule in values(var.runner_worker_ingress_rules) :
      length([for source in [rule.cidr_block, rule.ipv6_cidr_block, rule.prefix_list_id, rule.security_group] : true if source != null]) == 1
    ])
    error_message = "runner_worker_ingress_rules: write exactly one of cidr_block, ipv6_cidr_block, prefix_list_id and security_group in each rule."
  }
}

variable "runner_worker_egress_rules" {
  description = <<-EOT
    What the workers, and so the jobs, may reach, by a name of yours: HTTPS, HTTP and SSH to anywhere.

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
    allow_https_ipv4 = { cidr_block = "0.0.0.0/0", from_port = 443, to_port = 443, protocol = "tcp", description = "HTTPS to anywhere" }
    allow_https_ipv6 = { ipv6_cidr_block = "::/0", from_port = 443, to_port = 443, protocol = "tcp", description = "HTTPS to anywhere (IPv6)" }
    allow_http_ipv4  = { cidr_block = "0.0.0.0/0", from_port = 80, to_port = 80, protocol = "tcp", description = "HTTP to anywhere: package mirrors" }
    allow_http_ipv6  = { ipv6_cidr_block = "::/0", from_port = 80, to_port = 80, protocol = "tcp", description = "HTTP to anywhere (IPv6): package mirrors" }
    allow_ssh_ipv4   = { cidr_block = "0.0.0.0/0", from_port = 22, to_port = 22, protocol = "tcp", description = "SSH to anywhere: git" }
    allow_ssh_ipv6   = { ipv6_cidr_block = "::/0", from_port = 22, to_port = 22, protocol = "tcp", description = "SSH to anywhere (IPv6): git" }
  }

  validation {
    condition     = alltrue([for rule in values(var.runner_worker_egress_rules) : contains(["-1", "tcp", "udp", "icmp", "icmpv6"], rule.protocol)])
    error_message = "runner_worker_egress_rules: write protocol = \"tcp\", \"udp\", \"icmp\", \"icmpv6\" or \"-1\"."
  }
  validation {
    condition = alltrue([
      for rule in values(var.runner_worker_egress_rules) :
      length([for target in [rule.cidr_block, rule.ipv6_cidr_block, rule.prefix_list_id, rule.security_group] : true if target != null]) == 1
    ])
    error_message = "runner_worker_egress_rules: write exactly one of cidr_block, ipv6_cidr_block, prefix_list_id and security_group in each rule."
  }
}
