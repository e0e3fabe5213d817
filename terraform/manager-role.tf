# The manager's role and instance profile, and the rights of its host, which are not the service's.

locals {
  ssm_access      = coalesce(var.runner_instance.ssm_access, var.runner_image != "debian-13")
  manager_name    = "${local.iam_prefix}-manager"
  package_in_s3   = startswith(var.runner_package.url, "s3://")
  package_s3_path = trimprefix(var.runner_package.url, "s3://")
  log_group       = coalesce(var.runner_cloudwatch.log_group_name, "/runner-fleet/${var.environment}")
  log_group_arn   = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${local.log_group}"
  health_metric   = { namespace = "runner-fleet", name = "Ready" }
  # Parameters of this name are secrets of Secrets Manager, which SSM reads with the caller's rights.
  secret_reference = "/aws/reference/secretsmanager/"
  secrets          = [for name in local.token_parameters : trimprefix(name, local.secret_reference) if startswith(name, local.secret_reference)]

  host_statements = [
    {
      # So that a host that shuts down knows whether there will be another.
      when      = true
      statement = { Sid = "AskItsGroup", Effect = "Allow", Action = "autoscaling:DescribeAutoScalingGroups", Resource = "*" }
    },
    {
      when = local.package_in_s3
      statement = {
        Sid      = "FetchPackage"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "arn:${local.partition}:s3:::${local.package_s3_path}"
      }
    },
    {
      when = length(local.secrets) > 0
      statement = {
        Sid    = "ReadSecrets"
        Effect = "Allow"
        Action = "secretsmanager:GetSecretValue"
        # Secrets Manager puts six characters behind a secret's name.
        Resource = [for name in local.secrets : "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${name}-??????"]
      }
    },
    {
      # What Session Manager needs, and nothing else: AmazonSSMManagedInstanceCore would let it read every parameter.
      when      = local.ssm_access
      statement = local.session_statement
    },
    {
      when = var.runner_cloudwatch.enable
      statement = {
        Sid      = "ShipLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = [local.log_group_arn, "${local.log_group_arn}:*"]
      }
    },
    {
      when = var.runner_alarm.enable
      statement = {
        Sid       = "TellWhetherReady"
        Effect    = "Allow"
        Action    = "cloudwatch:PutMetricData"
        Resource  = "*"
        Condition = { StringEquals = { "cloudwatch:namespace" = local.health_metric.namespace } }
      }
    },
  ]
  session_statement = {
    Sid    = "SessionManager"
    Effect = "Allow"
    Action = [
      "ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
    ]
    Resource = "*"
  }
  host_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for one in local.host_statements : one.statement if one.when]
  })

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = local.ec2_service }
    }]
  })
}

resource "aws_iam_role" "manager" {
  count = var.runner_role.create_role_profile ? 1 : 0

  name                 = local.manager_name
  description          = "runner-fleet manager ${var.environment}"
  assume_role_policy   = local.assume_role_policy
  permissions_boundary = var.iam_permissions_boundary_arn
  tags                 = merge(local.tags, var.runner_role.additional_tags)
}

resource "aws_iam_role_policy" "manager" {
  count = var.runner_role.create_role_profile ? 1 : 0

  name   = "runner-fleet"
  role   = aws_iam_role.manager[0].name
  policy = local.manager_policy
}

resource "aws_iam_role_policy" "host" {
  count = var.runner_role.create_role_profile ? 1 : 0

  name   = "host"
  role   = aws_iam_role.manager[0].name
  policy = local.host_policy
}

resource "aws_iam_role_policy_attachment" "manager" {
  count = var.runner_role.create_role_profile ? length(var.runner_role.policy_arns) : 0

  role       = aws_iam_role.manager[0].name
  policy_arn = var.runner_role.policy_arns[count.index]
}

resource "aws_iam_instance_profile" "manager" {
  count = var.runner_role.create_role_profile ? 1 : 0

  name = local.manager_name
  role = aws_iam_role.manager[0].name
  tags = local.tags
}
