# The workers' role. With metadata_hop_limit 2, the default with ECR in jobs, every job has its rights.

locals {
  worker_name = "${local.iam_prefix}-worker"
  has_worker_role = coalesce(
    var.runner_worker_role.create_role_profile,
    local.has_ecr || local.has_cache || var.runner_worker.ssm_access || length(var.runner_worker_role.policy_arns) > 0,
  )
  # Role and profile have one name, from which `runner-fleet iam-policy` finds the role.
  worker_profile = local.has_worker_role ? local.worker_name : null

  registry_pattern = "^([0-9]{12})[.]dkr[.-]ecr(?:-fips)?[.]([a-z0-9-]+)[.]"
  ecr_hosts        = distinct(flatten([for fleet in local.fleets : fleet.ecr.registries if try(coalesce(fleet.ecr.enabled, true), false)]))
  registries = distinct([
    for host in local.ecr_hosts : {
      account = regex(local.registry_pattern, host)[0]
      region  = regex(local.registry_pattern, host)[1]
    } if can(regex(local.registry_pattern, host))
  ])
  # Of a region's name follows the partition that its ARNs begin with.
  partitions = {
    for registry in local.registries : registry.region => concat([
      for begin, partition in {
        "cn-"      = "aws-cn"
        "eu-isoe-" = "aws-iso-e"
        "eusc-"    = "aws-eusc"
        "us-gov-"  = "aws-us-gov"
        "us-iso-"  = "aws-iso"
        "us-isob-" = "aws-iso-b"
        "us-isof-" = "aws-iso-f"
      } : partition if startswith(registry.region, begin)
    ], ["aws"])[0]...
  }
  # Named repositories with all below them.
  repositories = length(var.runner_worker_ecr.repositories) == 0 ? ["*"] : distinct(flatten([
    for name in [for name in var.runner_worker_ecr.repositories : trim(name, "/")] :
    can(regex("[*?]", name)) ? [name] : [name, "${name}/*"]
  ]))
  registry_arns   = [for registry in local.registries : "arn:${local.partitions[registry.region][0]}:ecr:${registry.region}:${registry.account}:repository"]
  repository_arns = flatten([for arn in local.registry_arns : [for name in local.repositories : "${arn}/${name}"]])

  # What `runner-fleet iam-policy --worker` prints.
  worker_statements = [
    {
      when      = length(local.registries) > 0
      statement = { Sid = "EcrLogin", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" }
    },
    {
      when = length(local.registries) > 0
      statement = {
        Sid      = "EcrPull"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = local.repository_arns
      }
    },
    {
      when = length(local.registries) > 0 && var.runner_worker_ecr.push
      statement = {
        Sid      = "EcrPush"
        Effect   = "Allow"
        Action   = ["ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"]
        Resource = local.repository_arns
      }
    },
    {
      when      = length(local.ecr_hosts) > length([for host in local.ecr_hosts : host if can(regex(local.registry_pattern, host))])
      statement = { Sid = "EcrPublicLogin", Effect = "Allow", Action = ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"], Resource = "*" }
    },
  ]
  worker_policy     = jsonencode({ Version = "2012-10-17", Statement = [for one in local.worker_statements : one.statement if one.when] })
  has_worker_policy = anytrue([for one in local.worker_statements : one.when])

  # And what the configuration does not tell.
  worker_extra_statements = [
    {
      when = length(var.runner_worker_ecr.pull_through_prefixes) > 0 && length(local.registries) > 0
      statement = {
        Sid      = "EcrPullThrough"
        Effect   = "Allow"
        Action   = ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"]
        Resource = flatten([for arn in local.registry_arns : [for prefix in var.runner_worker_ecr.pull_through_prefixes : "${arn}/${trim(prefix, "/")}/*"]])
      }
    },
    {
      when      = local.has_cache
      statement = { Sid = "CacheObjects", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject"], Resource = "${local.cache_arn}/*" }
    },
    {
      # Without it a missing entry is told as forbidden.
      when      = local.has_cache
      statement = { Sid = "CacheList", Effect = "Allow", Action = "s3:ListBucket", Resource = local.cache_arn }
    },
    {
      when      = var.runner_worker_cache.create && var.kms_key_id != ""
      statement = { Sid = "CacheKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.kms_key_id }
    },
    {
      when      = var.runner_worker.ssm_access
      statement = local.session_statement
    },
  ]
  worker_extra_policy = jsonencode({ Version = "2012-10-17", Statement = [for one in local.worker_extra_statements : one.statement if one.when] })
  # Told without the key, which may be unknown until it is made: a count must be known before.
  has_worker_extra_policy = local.has_cache || var.runner_worker.ssm_access || (length(var.runner_worker_ecr.pull_through_prefixes) > 0 && length(local.registries) > 0)
}

resource "aws_iam_role" "worker" {
  count = local.has_worker_role ? 1 : 0

  name                 = local.worker_name
  description          = "Workers of the runner-fleet manager ${var.environment}"
  assume_role_policy   = local.assume_role_policy
  permissions_boundary = var.iam_permissions_boundary_arn
  tags                 = merge(local.tags, var.runner_worker_role.additional_tags)
}

resource "aws_iam_role_policy" "worker" {
  count = local.has_worker_role && local.has_worker_policy ? 1 : 0

  name   = "ecr"
  role   = aws_iam_role.worker[0].name
  policy = local.worker_policy
}

resource "aws_iam_role_policy" "worker_extra" {
  count = local.has_worker_role && local.has_worker_extra_policy ? 1 : 0

  name   = "jobs"
  role   = aws_iam_role.worker[0].name
  policy = local.worker_extra_policy
}

resource "aws_iam_role_policy_attachment" "worker" {
  count = local.has_worker_role ? length(var.runner_worker_role.policy_arns) : 0

  role       = aws_iam_role.worker[0].name
  policy_arn = var.runner_worker_role.policy_arns[count.index]
}

resource "aws_iam_instance_profile" "worker" {
  count = local.has_worker_role ? 1 : 0

  name = local.worker_name
  role = aws_iam_role.worker[0].name
  tags = local.tags
}
