# The three ways out, and what is refused.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
  mock_resource "aws_internet_gateway" {
    defaults = { id = "igw-0123456789abcdef0" }
  }
  mock_resource "aws_nat_gateway" {
    defaults = { id = "nat-0123456789abcdef0" }
  }
  mock_resource "aws_route_table" {
    defaults = { id = "rtb-0123456789abcdef0" }
  }
  mock_resource "aws_subnet" {
    defaults = { id = "subnet-0123456789abcdef0" }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c"] }
  }
}

variables {
  name = "ci"
}

run "public" {
  command = plan

  assert {
    condition     = [for subnet in aws_subnet.workers : subnet.cidr_block] == ["10.77.0.0/22", "10.77.4.0/22"]
    error_message = "two zones share the network"
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.workers : subnet.map_public_ip_on_launch])
    error_message = "a subnet whose way out is an internet gateway gives public addresses"
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_eip.nat) == 0 && length(aws_subnet.nat) == 0
    error_message = "nothing costs money by the hour"
  }
  assert {
    condition     = alltrue([for route in aws_route.out : route.gateway_id != null && route.nat_gateway_id == null])
    error_message = "the way out is the internet gateway"
  }
  assert {
    condition     = aws_vpc_endpoint.s3.service_name == "com.amazonaws.eu-central-1.s3" && length(aws_vpc_endpoint.s3.route_table_ids) > 0
    error_message = "S3 is reached by a gateway endpoint"
  }
  assert {
    condition     = output.private_address_only == false && length(output.subnet_ids) == 2
    error_message = "the manager needs a public address here"
  }
}

run "nat" {
  command = plan

  variables {
    egress = "nat"
  }

  assert {
    condition     = keys(aws_nat_gateway.this) == ["0"] && keys(aws_subnet.workers) == ["0", "1"]
    error_message = "one gateway for both zones"
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.workers : !subnet.map_public_ip_on_launch])
    error_message = "workers have private addresses alone"
  }
  assert {
    condition     = alltrue([for route in aws_route.out : route.gateway_id == null])
    error_message = "the way out is NAT"
  }
  assert {
    condition     = aws_subnet.nat["0"].cidr_block == "10.77.15.240/28"
    error_message = "the gateway's subnet is at the network's end, and overlaps no other"
  }
  assert {
    condition     = output.private_address_only
    error_message = "the manager needs no public address"
  }
}

run "nat_per_zone" {
  command = plan

  variables {
    egress     = "nat-per-zone"
    zones      = 3
    cidr_block = "192.168.3.0/24"
  }

  assert {
    condition     = keys(aws_nat_gateway.this) == ["0", "1", "2"]
    error_message = "a gateway in each zone"
  }
  assert {
    condition     = [for subnet in aws_subnet.workers : subnet.cidr_block] == ["192.168.3.0/26", "192.168.3.64/26", "192.168.3.128/26"]
    error_message = "three quarters of the network are the workers'"
  }
  assert {
    condition     = [for subnet in aws_subnet.nat : subnet.cidr_block] == ["192.168.3.240/28", "192.168.3.224/28", "192.168.3.208/28"]
    error_message = "the last quarter has the gateways"
  }
}

run "bad_name" {
  command = plan
  variables {
    name = "not a name"
  }
  expect_failures = [var.name]
}

run "bad_network" {
  command = plan
  variables {
    cidr_block = "10.0.0.0/28"
  }
  expect_failures = [var.cidr_block]
}

run "bad_zones" {
  command = plan
  variables {
    zones = 1
  }
  expect_failures = [var.zones]
}

run "bad_egress" {
  command = plan
  variables {
    egress = "internet"
  }
  expect_failures = [var.egress]
}
