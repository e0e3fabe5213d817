# A small network for a manager and its workers: public subnets alone, or private ones behind NAT. S3 (caches, ECR's layers,
# Amazon Linux' packages) is reached by a gateway endpoint, which costs nothing and spares NAT.

data "aws_region" "here" {}

data "aws_availability_zones" "here" {
  state = "available"

  # No local zones: they have few instance types.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  zones    = { for index in range(var.zones) : tostring(index) => data.aws_availability_zones.here.names[index] }
  nat      = var.egress != "public"
  gateways = var.egress == "nat-per-zone" ? toset(keys(local.zones)) : toset(local.nat ? ["0"] : [])
  # Workers get three quarters of the network; subnets for NAT gateways need little.
  worker_bits = 2
  nat_bits    = 28 - tonumber(split("/", var.cidr_block)[1])
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr_block
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = merge(var.tags, { Name = var.name })
}

# The group that every VPC has, without a rule: what forgets to name one reaches nothing.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-default" })
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name })
}

# Where manager and workers are.
resource "aws_subnet" "workers" {
  for_each = local.zones

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.value
  cidr_block              = cidrsubnet(var.cidr_block, local.worker_bits, tonumber(each.key))
  map_public_ip_on_launch = !local.nat
  tags                    = merge(var.tags, { Name = "${var.name}-workers-${each.key}" })

  # A zone that AWS adds, or that is not available today, must not move subnets.
  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_route_table" "workers" {
  for_each = local.zones

  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-workers-${each.key}" })
}

resource "aws_route_table_association" "workers" {
  for_each = local.zones

  subnet_id      = aws_subnet.workers[each.key].id
  route_table_id = aws_route_table.workers[each.key].id
}

resource "aws_route" "out" {
  for_each = local.zones

  route_table_id         = aws_route_table.workers[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = local.nat ? null : aws_internet_gateway.this.id
  nat_gateway_id         = local.nat ? aws_nat_gateway.this[contains(local.gateways, each.key) ? each.key : "0"].id : null
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id          = aws_vpc.this.id
  service_name    = "com.amazonaws.${data.aws_region.here.region}.s3"
  route_table_ids = [for table in aws_route_table.workers : table.id]
  tags            = merge(var.tags, { Name = "${var.name}-s3" })
}

# The NAT gateways, each in a public subnet of its zone: the last /28s of the network.
resource "aws_subnet" "nat" {
  for_each = local.gateways

  vpc_id            = aws_vpc.this.id
  availability_zone = local.zones[each.key]
  cidr_block        = cidrsubnet(var.cidr_block, local.nat_bits, pow(2, local.nat_bits) - 1 - tonumber(each.key))
  tags              = merge(var.tags, { Name = "${var.name}-nat-${each.key}" })

  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_route_table" "nat" {
  count = local.nat ? 1 : 0

  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-nat" })
}

resource "aws_route" "nat" {
  count = local.nat ? 1 : 0

  route_table_id         = aws_route_table.nat[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "nat" {
  for_each = local.gateways

  subnet_id      = aws_subnet.nat[each.key].id
  route_table_id = aws_route_table.nat[0].id
}

resource "aws_eip" "nat" {
  for_each = local.gateways

  domain = "vpc"
  tags   = merge(var.tags, { Name = "${var.name}-nat-${each.key}" })

  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  for_each = local.gateways

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.nat[each.key].id
  tags          = merge(var.tags, { Name = "${var.name}-${each.key}" })

  depends_on = [aws_internet_gateway.this]
}
