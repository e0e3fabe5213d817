# The manager's rights: what `runner-fleet iam-policy --manager` prints for the same configuration, statement by statement.
# tests/terraform compares both. All is known at plan: names, never attributes of resources.

locals {
  fleets  = [for runner in values(var.runners) : runner.fleet]
  regions = distinct(length(local.fleets) == 0 ? [local.region] : [for fleet in local.fleets : coalesce(fleet.region, local.region)])

  ec2_arns = {
    for kind in ["fleet", "instance", "key-pair", "launch-template", "network-interface", "security-group", "spot-instances-request", "subnet", "volume"] :
    kind => [for region in local.regions : "arn:${local.partition}:ec2:${region}:${local.account}:${kind}/*"]
  }
  born_alike = ["fleet", "network-interface", "spot-instances-request", "volume"]
  kept       = ["key-pair", "launch-template"]

  # Images belong to no account. Those that a publisher's parameter names are bound to the publisher; an own parameter may
  # name any image.
  publishers = merge(
    { "/aws/service/ami-amazon-linux-latest/" = "amazon" },
    local.partition != "aws" ? {} : { "/aws/service/debian/" = "136693071363", "/aws/service/canonical/" = "099720109477" },
  )
  image_owners  = distinct(flatten([for name in local.image_parameters : [for path, owner in local.publishers : owner if startswith(name, path)]]))
  is_image_free = anytrue([for name in local.image_parameters : !anytrue([for path in keys(local.publishers) : startswith(name, path)])])
  image_ids     = local.is_image_free ? ["*"] : distinct([for name, fleet in local.fleet_tables : jsondecode(fleet.ami) if !startswith(jsondecode(fleet.ami), "ssm:")])

  trouble_url = try(local.manager_extra.fleet.on_trouble.url, "")
  token_parameters = distinct(flatten([
    [for gitlab in values(local.gitlab) : [for name in [gitlab.token, gitlab.api_token] : name if name != null]],
    [for url in [local.trouble_url] : trimprefix(url, "ssm:") if startswith(url, "ssm:")],
  ]))
  image_parameters = distinct([
    for name, fleet in local.fleet_tables : trimprefix(jsondecode(fleet.ami), "ssm:") if startswith(jsondecode(fleet.ami), "ssm:")
  ])
  key_parameter_arns = [
    for name in [local.ssh_key_parameter] : "arn:${local.partition}:ssm:${local.key_region}:${local.account}:parameter/${trimprefix(name, "/")}" if name != null
  ]
  parameter_arns = {
    for name in distinct(concat(local.token_parameters, local.image_parameters)) : name => [
      for region in local.regions :
      "arn:${local.partition}:ssm:${region}:${startswith(name, "/aws/service/") ? "" : local.account}:parameter/${trimprefix(name, "/")}"
    ]
  }

  profiles = distinct([for name, fleet in local.fleet_tables : jsondecode(fleet.instance_profile) if fleet.instance_profile != "null"])
  # A profile does not tell its role's name; mostly both have the same.
  roles_of_profiles = distinct([
    for profile in local.profiles :
    "arn:${local.partition}:iam::${try(split(":", profile)[4], local.account)}:role/${reverse(split("/", profile))[0]}"
  ])
  passed_roles = length(var.runner_worker_role.role_arns) == 0 ? local.roles_of_profiles : distinct(concat(
    var.runner_worker_role.role_arns,
    [for profile in local.profiles : "arn:${local.partition}:iam::${local.account}:role/${profile}" if profile == local.worker_profile],
  ))

  volume_keys = distinct([for fleet in local.fleets : fleet.root_volume.kms_key_id if try(fleet.root_volume.kms_key_id, null) != null])
  key_aliases = distinct([for key in local.volume_keys : "alias/${split("alias/", key)[1]}" if strcontains(key, "alias/")])
  key_arns = distinct(flatten([
    for key in local.volume_keys : startswith(key, "arn:") ? [key] : [for region in local.regions : "arn:${local.partition}:kms:${region}:${local.account}:key/${key}"]
    if !strcontains(key, "alias/")
  ]))
  any_key  = [for region in local.regions : "arn:${local.partition}:kms:${region}:${local.account}:key/*"]
  use_keys = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"]

  manager_statements = [
    {
      when = true
      statement = {
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "ec2:DescribeImages", "ec2:DescribeInstanceStatus", "ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstances",
          "ec2:DescribeKeyPairs", "ec2:DescribeLaunchTemplates", "ec2:DescribeSpotPriceHistory", "ec2:DescribeSubnets",
        ]
        Resource  = "*"
        Condition = { StringEquals = { "aws:RequestedRegion" = local.regions } }
      }
    },
    {
      when = true
      statement = {
        Sid    = "LaunchFromParts"
        Effect = "Allow"
        Action = ["ec2:CreateFleet", "ec2:RunInstances"]
        Resource = flatten([
          [for region in local.regions : [for image in local.image_ids : "arn:${local.partition}:ec2:${region}::image/${image}"]],
          [for kind in ["security-group", "subnet"] : local.ec2_arns[kind]],
        ])
      }
    },
    {
      when = true
      statement = {
        Sid       = "LaunchFromOurs"
        Effect    = "Allow"
        Action    = ["ec2:CreateFleet", "ec2:RunInstances"]
        Resource  = flatten([for kind in local.kept : local.ec2_arns[kind]])
        Condition = { StringEquals = { "aws:ResourceTag/runner-fleet:manager" = var.environment } }
      }
    },
    {
      when = true
      statement = {
        Sid       = "LaunchWithOurTag"
        Effect    = "Allow"
        Action    = ["ec2:CreateFleet", "ec2:RunInstances"]
        Resource  = flatten([for kind in local.born_alike : local.ec2_arns[kind]])
        Condition = { StringEquals = { "aws:RequestTag/runner-fleet:manager" = var.environment } }
      }
    },
    {
      when = true
      statement = {
        Sid      = "LaunchAsConfigured"
        Effect   = "Allow"
        Action   = ["ec2:CreateFleet", "ec2:RunInstances"]
        Resource = local.ec2_arns["instance"]
        Condition = {
          StringEquals = { "aws:RequestTag/runner-fleet:manager" = var.environment }
          # Of what a call does not carry nothing is demanded: whether CreateFleet carries it is not documented.
          StringEqualsIfExists = merge(
            length(local.fleets) == 0 ? {} : { "ec2:InstanceType" = distinct(flatten([for fleet in local.fleets : fleet.instance_types])) },
            { "ec2:MetadataHttpTokens" = "required" },
          )
        }
      }
    },
    {
      when = length(local.image_owners) > 0
      statement = {
        Sid       = "LaunchPublishedImages"
        Effect    = "Allow"
        Action    = ["ec2:CreateFleet", "ec2:RunInstances"]
        Resource  = [for region in local.regions : "arn:${local.partition}:ec2:${region}::image/*"]
        Condition = { StringEqualsIfExists = { "ec2:Owner" = local.image_owners } }
      }
    },
    {
      when = true
      statement = {
        Sid       = "MakeTemplateAndKeyWithOurTag"
        Effect    = "Allow"
        Action    = ["ec2:CreateLaunchTemplate", "ec2:ImportKeyPair"]
        Resource  = flatten([for kind in local.kept : local.ec2_arns[kind]])
        Condition = { StringEquals = { "aws:RequestTag/runner-fleet:manager" = var.environment } }
      }
    },
    {
      when = true
      statement = {
        Sid      = "TagAtBirthOnly"
        Effect   = "Allow"
        Action   = "ec2:CreateTags"
        Resource = flatten([for kind in concat(local.born_alike, ["instance"], local.kept) : local.ec2_arns[kind]])
        Condition = { StringEquals = {
          "aws:RequestTag/runner-fleet:manager" = var.environment
          "ec2:CreateAction"                    = ["CreateFleet", "CreateLaunchTemplate", "ImportKeyPair", "RunInstances"]
        } }
      }
    },
    {
      when = true
      statement = {
        Sid       = "EndOurs"
        Effect    = "Allow"
        Action    = ["ec2:DeleteKeyPair", "ec2:DeleteLaunchTemplate", "ec2:TerminateInstances"]
        Resource  = flatten([for kind in ["instance", "key-pair", "launch-template"] : local.ec2_arns[kind]])
        Condition = { StringEquals = { "aws:ResourceTag/runner-fleet:manager" = var.environment } }
      }
    },
    {
      when = length(local.passed_roles) > 0
      statement = {
        Sid       = "GiveWorkersTheirRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = local.passed_roles
        Condition = { StringEquals = { "iam:PassedToService" = local.ec2_service } }
      }
    },
    {
      when = true
      statement = {
        Sid       = "FirstSpotLaunch"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = "arn:${local.partition}:iam::${local.account}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
        Condition = { StringEquals = { "iam:AWSServiceName" = "spot.amazonaws.com" } }
      }
    },
    {
      when = length(local.token_parameters) + length(local.image_parameters) > 0
      statement = {
        Sid      = "ReadTokensAndImageIds"
        Effect   = "Allow"
        Action   = "ssm:GetParameter"
        Resource = distinct(flatten(values(local.parameter_arns)))
      }
    },
    {
      # The manager makes the parameter at its first start, and reads it on every host after that.
      when = length(local.key_parameter_arns) > 0
      statement = {
        Sid      = "KeepSshKey"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter", "ssm:PutParameter"]
        Resource = local.key_parameter_arns
      }
    },
    {
      # For parameters under a customer-managed key: bound to SSM as the caller, and to these parameters.
      when = length(local.token_parameters) + length(local.key_parameter_arns) > 0
      statement = {
        Sid      = "DecryptTokens"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = local.any_key
        Condition = {
          StringEquals = { "kms:ViaService" = flatten([
            for region in local.regions : [for suffix in local.ssm_suffixes : "ssm.${region}.${suffix}"]
          ]) }
          StringLike = { "kms:EncryptionContext:PARAMETER_ARN" = distinct(concat(flatten([for name in local.token_parameters : local.parameter_arns[name]]), local.key_parameter_arns)) }
        }
      }
    },
    {
      when      = length(local.key_arns) > 0
      statement = { Sid = "UseKeys", Effect = "Allow", Action = local.use_keys, Resource = local.key_arns }
    },
    {
      when = length(local.key_arns) > 0
      statement = {
        Sid       = "LetEc2UseKeys"
        Effect    = "Allow"
        Action    = "kms:CreateGrant"
        Resource  = local.key_arns
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      }
    },
    {
      # An alias is no resource of these actions; so the right is on every key that has it.
      when = length(local.key_aliases) > 0
      statement = {
        Sid       = "UseKeysByAlias"
        Effect    = "Allow"
        Action    = local.use_keys
        Resource  = local.any_key
        Condition = { "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = local.key_aliases } }
      }
    },
    {
      when = length(local.key_aliases) > 0
      statement = {
        Sid      = "LetEc2UseKeysByAlias"
        Effect   = "Allow"
        Action   = "kms:CreateGrant"
        Resource = local.any_key
        Condition = {
          "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = local.key_aliases }
          Bool                       = { "kms:GrantIsForAWSResource" = "true" }
        }
      }
    },
    {
      when = var.runner_role.doctor
      statement = {
        Sid       = "DoctorLooks"
        Effect    = "Allow"
        Action    = ["ec2:DescribeInstanceTypes", "ec2:DescribeSecurityGroups", "servicequotas:GetServiceQuota"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:RequestedRegion" = local.regions } }
      }
    },
    {
      when = var.runner_role.doctor && length(local.profiles) > 0
      statement = {
        Sid    = "DoctorLooksAtTheWorkersRole"
        Effect = "Allow"
        Action = ["iam:GetInstanceProfile", "iam:SimulatePrincipalPolicy"]
        Resource = distinct(concat(local.passed_roles, [
          for profile in local.profiles :
          strcontains(profile, ":") ? profile : "arn:${local.partition}:iam::${local.account}:instance-profile/${profile}"
        ]))
      }
    },
  ]

  ec2_service  = local.partition == "aws-cn" ? "ec2.amazonaws.com.cn" : "ec2.amazonaws.com"
  ssm_suffixes = local.partition == "aws-cn" ? ["amazonaws.com", "amazonaws.com.cn"] : ["amazonaws.com"]

  manager_policy = coalesce(var.runner_role.policy_json, jsonencode({
    Version   = "2012-10-17"
    Statement = [for one in local.manager_statements : one.statement if one.when]
  }))
}
