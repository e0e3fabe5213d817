# Where, and under which names. The other variables: variables-runners.tf, variables-manager.tf, variables-workers.tf.

variable "environment" {
  description = "Name of this manager: `[fleet] manager` in its configuration, the owner in every tag, and the prefix of all names. Two managers of one account need two names."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,31}$", var.environment))
    error_message = "environment: write 1 to 32 letters, digits and dashes, the first one no dash, like \"ci-eu\"."
  }
}

variable "vpc_id" {
  description = "VPC of the manager and of the workers."
  type        = string

  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "vpc_id: write the id of a VPC, like \"vpc-0123456789abcdef0\"; modules/vpc makes a small one."
  }
}

variable "subnet_ids" {
  description = "Subnets of the manager, and of the workers of every runner that names none of its own. Best in two or more zones: spot capacity differs between zones. They need a way to GitLab and to AWS (NAT, public addresses, or endpoints)."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "subnet_ids: write at least one subnet, best two or more in different zones, like [\"subnet-0123456789abcdef0\"]."
  }
  validation {
    condition     = alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "subnet_ids: every entry is the id of a subnet; write it like \"subnet-0123456789abcdef0\"."
  }
}

variable "tags" {
  description = "Tags of everything that is made here, and of the workers."
  type        = map(string)
  default     = {}

  validation {
    condition     = length([for key in keys(var.tags) : key if startswith(lower(key), "runner-fleet:") || startswith(lower(key), "aws:")]) == 0
    error_message = "tags: keys that begin with runner-fleet: say whose a worker is, those with aws: are Amazon's; choose other keys."
  }
}

variable "suppressed_tags" {
  description = "Keys of tags that the module leaves out, although it or `tags` would set them."
  type        = list(string)
  default     = []
}

variable "security_group_prefix" {
  description = "Prefix of the security groups' names. Default: `environment`."
  type        = string
  default     = ""
}

variable "iam_object_prefix" {
  description = "Prefix of the names of roles and instance profiles, which are the same in all regions of an account. Default: `environment`."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{0,50}$", var.iam_object_prefix))
    error_message = "iam_object_prefix: write at most 50 letters, digits and + = , . @ _ -, so that the role's name fits into IAM's 64 characters."
  }
}

variable "iam_permissions_boundary_arn" {
  description = "ARN of the policy that bounds the rights of the roles that are made here."
  type        = string
  default     = null

  validation {
    condition     = var.iam_permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/", var.iam_permissions_boundary_arn))
    error_message = "iam_permissions_boundary_arn: write the policy's ARN, not its name, like \"arn:aws:iam::123456789012:policy/boundary\"."
  }
}

variable "kms_key_id" {
  description = <<-EOT
    ARN of a KMS key of yours for the manager's disk, the log group and the cache bucket. Default: AWS' own keys. Its key policy
    must let in `logs.REGION.amazonaws.com` and the role `AWSServiceRoleForAutoScaling`; the workers' role gets its rights here.
    Workers' disks have a key of their own: `runners.NAME.fleet.root_volume.kms_key_id`.
  EOT
  type        = string
  default     = ""

  validation {
    condition     = var.kms_key_id == "" || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_id))
    error_message = "kms_key_id: write the key's ARN, like \"arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-…\"; CloudWatch takes no alias."
  }
}
