# What everything else here is named and placed by.

data "aws_partition" "here" {}
data "aws_region" "here" {}
data "aws_caller_identity" "here" {}

locals {
  partition = data.aws_partition.here.partition
  region    = data.aws_region.here.region
  account   = data.aws_caller_identity.here.account_id

  iam_prefix = coalesce(var.iam_object_prefix, var.environment)
  sg_prefix  = coalesce(var.security_group_prefix, var.environment)

  tags = {
    for key, value in merge({ Environment = var.environment }, var.tags) : key => value
    if !contains(var.suppressed_tags, key)
  }
}
