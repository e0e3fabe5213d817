variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "egress" {
  description = "The network's way out: `public` (4 USD a month and 0.005 an hour for each worker), `nat` (33 USD a month and 0.045 for a GB) or `nat-per-zone`."
  type        = string
  default     = "public"
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

variable "alarm_topic_arns" {
  description = "SNS topics that are told when the manager is not well."
  type        = list(string)
  default     = []
}
