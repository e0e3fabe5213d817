variable "region" {
  description = "AWS region."
  type        = string
}

variable "vpc_id" {
  description = "VPC of manager and workers."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets with a way out, best in two or more zones."
  type        = list(string)
}

variable "gitlab_url" {
  description = "GitLab's address."
  type        = string
}

variable "package_url" {
  description = "Where the .rpm for aarch64 lies: https://… or s3://…"
  type        = string
}

variable "package_sha256" {
  description = "Its checksum, from SHA256SUMS."
  type        = string
}
