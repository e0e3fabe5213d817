# The S3 bucket for the jobs' cache. Its rights are in worker-role.tf: gitlab-runner on the workers signs the requests.

locals {
  cache_made   = lower(join("-", compact(["${var.runner_worker_cache.bucket_prefix}${var.environment}", var.runner_worker_cache.include_account_id ? local.account : "", "cache"])))
  cache_bucket = var.runner_worker_cache.bucket != "" ? var.runner_worker_cache.bucket : local.cache_made
  cache_arn    = "arn:${local.partition}:s3:::${local.cache_bucket}"
}

resource "aws_s3_bucket" "cache" {
  count = var.runner_worker_cache.create ? 1 : 0

  bucket        = local.cache_bucket
  force_destroy = true # It is a cache.
  tags          = local.tags

  lifecycle {
    precondition {
      condition     = length(local.cache_bucket) <= 63
      error_message = "runner_worker_cache: the bucket's name ${local.cache_bucket} has more than 63 characters; write a shorter bucket_prefix or environment."
    }
  }
}

resource "aws_s3_bucket_public_access_block" "cache" {
  count = var.runner_worker_cache.create && var.runner_worker_cache.create_aws_s3_bucket_public_access_block ? 1 : 0

  bucket                  = aws_s3_bucket.cache[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "cache" {
  count = var.runner_worker_cache.create ? 1 : 0

  bucket = aws_s3_bucket.cache[0].id

  rule {
    bucket_key_enabled = var.kms_key_id != ""

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_id == "" ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_id == "" ? null : var.kms_key_id
    }
  }
}

resource "aws_s3_bucket_versioning" "cache" {
  count = var.runner_worker_cache.create && var.runner_worker_cache.versioning ? 1 : 0

  bucket = aws_s3_bucket.cache[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

# Without a prefix: GitLab Runner's keys begin with `runner/` or `project/`, by its version.
resource "aws_s3_bucket_lifecycle_configuration" "cache" {
  count = var.runner_worker_cache.create ? 1 : 0

  bucket = aws_s3_bucket.cache[0].id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.runner_worker_cache.expiration_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.cache]
}

resource "aws_s3_bucket_policy" "cache" {
  count = var.runner_worker_cache.create ? 1 : 0

  bucket = aws_s3_bucket.cache[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.cache_arn, "${local.cache_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.cache]
}
