variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "vpc_id" {
  description = "VPC of manager and workers."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in two or more zones."
  type        = list(string)
}

variable "permissions_boundary_arn" {
  description = "Policy that bounds every role of this account."
  type        = string
}

variable "package_bucket" {
  description = "Bucket in which the .rpm for aarch64 lies."
  type        = string
}

variable "package_sha256" {
  description = "Its checksum, from SHA256SUMS."
  type        = string
}

variable "prometheus_security_group_id" {
  description = "Security group of the Prometheus that reads the metrics."
  type        = string
}

variable "s3_prefix_list_id" {
  description = "Prefix list of S3 in this region."
  type        = string
}
