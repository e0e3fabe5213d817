output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "subnet_ids" {
  description = "Subnets for manager and workers, one in each zone."
  value       = [for key in sort(keys(local.zones)) : aws_subnet.workers[key].id]
}

output "private_address_only" {
  description = "For `runner_instance` of the runner-fleet module: whether the manager does without a public address."
  value       = local.nat
}

output "nat_public_ips" {
  description = "Addresses that manager and workers come from, for others' allow lists; empty without NAT."
  value       = [for address in aws_eip.nat : address.public_ip]
}
