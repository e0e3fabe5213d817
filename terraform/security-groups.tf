# Two groups: the workers' lets the manager in at the SSH port; the manager's lets nobody in but who is asked for.

resource "aws_security_group" "manager" {
  name_prefix = "${local.sg_prefix}-manager-"
  description = var.runner_networking.security_group_description
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${local.sg_prefix}-manager" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "worker" {
  name_prefix = "${local.sg_prefix}-worker-"
  description = "runner-fleet workers: only the manager may come in"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${local.sg_prefix}-worker" })

  lifecycle {
    create_before_destroy = true
  }

  # A destroy waits for the last worker, which ends itself after orphan_timeout (30 minutes) and its last job.
  timeouts {
    delete = "90m"
  }
}

resource "aws_vpc_security_group_ingress_rule" "manager" {
  for_each = var.runner_ingress_rules

  security_group_id            = aws_security_group.manager.id
  description                  = each.value.description
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.from_port
  to_port                      = each.value.to_port
  cidr_ipv4                    = each.value.cidr_block
  cidr_ipv6                    = each.value.ipv6_cidr_block
  prefix_list_id               = each.value.prefix_list_id
  referenced_security_group_id = each.value.security_group
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "manager" {
  for_each = var.runner_egress_rules

  security_group_id            = aws_security_group.manager.id
  description                  = each.value.description
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.from_port
  to_port                      = each.value.to_port
  cidr_ipv4                    = each.value.cidr_block
  cidr_ipv6                    = each.value.ipv6_cidr_block
  prefix_list_id               = each.value.prefix_list_id
  referenced_security_group_id = each.value.security_group
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "manager_to_workers" {
  for_each = local.ssh_ports

  security_group_id            = aws_security_group.manager.id
  description                  = "SSH to the workers"
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
  referenced_security_group_id = aws_security_group.worker.id
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "manager_to_gitlab" {
  for_each = local.gitlab_ports

  security_group_id = aws_security_group.manager.id
  description       = "GitLab at its own port"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
  cidr_ipv4         = "0.0.0.0/0"
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "manager_to_mirrors" {
  count = var.runner_image == "debian-13" ? 1 : 0

  security_group_id = aws_security_group.manager.id
  description       = "HTTP to Debian's package mirrors"
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
  cidr_ipv4         = "0.0.0.0/0"
  tags              = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "worker_from_manager" {
  for_each = local.ssh_ports

  security_group_id            = aws_security_group.worker.id
  description                  = "SSH from the manager"
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
  referenced_security_group_id = aws_security_group.manager.id
  tags                         = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "worker" {
  for_each = var.runner_worker_ingress_rules

  security_group_id            = aws_security_group.worker.id
  description                  = each.value.description
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.from_port
  to_port                      = each.value.to_port
  cidr_ipv4                    = each.value.cidr_block
  cidr_ipv6                    = each.value.ipv6_cidr_block
  prefix_list_id               = each.value.prefix_list_id
  referenced_security_group_id = each.value.security_group
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "worker" {
  for_each = var.runner_worker_egress_rules

  security_group_id            = aws_security_group.worker.id
  description                  = each.value.description
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.from_port
  to_port                      = each.value.to_port
  cidr_ipv4                    = each.value.cidr_block
  cidr_ipv6                    = each.value.ipv6_cidr_block
  prefix_list_id               = each.value.prefix_list_id
  referenced_security_group_id = each.value.security_group
  tags                         = local.tags
}
