variable "name" {
  description = "Name of the network, and prefix of the names in it."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,31}$", var.name))
    error_message = "name: write 1 to 32 letters, digits and dashes, like \"ci-eu\"."
  }
}

variable "cidr_block" {
  description = "Addresses of the network: a /16 to a /24. A worker takes one address; a /20 has some 2,000 for each zone."
  type        = string
  default     = "10.77.0.0/20"

  validation {
    condition     = try(cidrsubnet(var.cidr_block, 4, 15) != "" && tonumber(split("/", var.cidr_block)[1]) >= 16 && tonumber(split("/", var.cidr_block)[1]) <= 24, false)
    error_message = "cidr_block: write a network from /16 to /24, like \"10.77.0.0/20\"."
  }
}

variable "zones" {
  description = "Number of availability zones: two or three. Spot capacity differs between zones."
  type        = number
  default     = 2

  validation {
    condition     = contains([2, 3], var.zones)
    error_message = "zones: write 2 or 3."
  }
}

variable "egress" {
  description = <<-EOT
    The way out. Prices are of us-east-1 in 2025; see https://aws.amazon.com/vpc/pricing/.

    public = Manager and workers get public addresses, and their security groups let nobody in from there. Each address costs 0.005 USD an hour (3.65 a month for the manager; a worker's only while it runs). Cheapest, and nothing that fails.
    nat = Private subnets behind one NAT gateway in the first zone: 0.045 USD an hour (33 a month) and 0.045 for each GB, also of images pulled from outside of AWS. Without that zone there is no way out.
    nat-per-zone = A NAT gateway in each zone: 33 USD a month each, no traffic between zones, no single point of failure.
  EOT
  type        = string
  default     = "public"

  validation {
    condition     = contains(["public", "nat", "nat-per-zone"], var.egress)
    error_message = "egress: write \"public\", \"nat\" or \"nat-per-zone\"; their prices are told in the variable's description."
  }
}

variable "tags" {
  description = "Tags of everything in it."
  type        = map(string)
  default     = {}
}
