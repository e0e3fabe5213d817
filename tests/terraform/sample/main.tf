# A module that is right, and that the double must find right; test_the_double.py breaks it in many ways.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

variable "tokens" {
  type    = string
  default = "required"
}

data "aws_region" "here" {}

resource "aws_security_group" "host" {
  name_prefix = "host-"
  vpc_id      = "vpc-0123"
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.host.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_iam_role" "host" {
  name               = "host"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [] })
}

resource "aws_launch_template" "host" {
  image_id               = "ami-0123"
  instance_type          = "t4g.micro"
  update_default_version = true
  vpc_security_group_ids = [aws_security_group.host.id]

  metadata_options {
    http_tokens = var.tokens
  }
}

resource "aws_autoscaling_group" "host" {
  min_size = 1
  max_size = 1

  launch_template {
    id      = aws_launch_template.host.id
    version = aws_launch_template.host.latest_version
  }

  dynamic "tag" {
    for_each = { region = data.aws_region.here.region }
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }
}
