# A company's network: private subnets, a package mirror in S3, a GitLab with its own CA, roles below a permissions boundary,
# and two pools: Graviton, and Intel or AMD for images that have no arm64.

provider "aws" {
  region = var.region

  default_tags {
    tags = { "managed-by" = "terraform" }
  }
}

module "runner_fleet" {
  source = "../.."

  environment = "ci-eu"
  vpc_id      = var.vpc_id
  subnet_ids  = var.subnet_ids
  tags        = { team = "platform", "cost-center" = "4711" }

  iam_object_prefix            = "app-ci-eu"
  iam_permissions_boundary_arn = var.permissions_boundary_arn

  runner_package = {
    url    = "s3://${var.package_bucket}/runner-fleet-0.1.0-1.aarch64.rpm"
    sha256 = var.package_sha256
  }

  runner_gitlab = {
    url                                           = "https://gitlab.example.com:8443"
    ca_certificate                                = file("${path.module}/example-ca.pem")
    preregistered_runner_token_ssm_parameter_name = "/ci/runner-token"
    api_token_ssm_parameter_name                  = "/ci/read-api-token"
  }

  runner_manager = {
    maximum_concurrent_jobs   = 60
    prometheus_listen_address = ":9252"
    environment_variables     = { HTTPS_PROXY = "http://proxy.example.com:3128", NO_PROXY = "169.254.169.254,gitlab.example.com" }
  }

  # Prometheus comes in; nobody else.
  runner_ingress_rules = {
    prometheus = {
      from_port      = 9252
      to_port        = 9252
      protocol       = "tcp"
      description    = "Metrics"
      security_group = var.prometheus_security_group_id
    }
  }

  # Instead of HTTPS to anywhere: the proxy, and AWS' endpoints in the network.
  runner_egress_rules = {
    network = {
      from_port   = 0
      to_port     = 65535
      protocol    = "tcp"
      description = "The company's network"
      cidr_block  = "10.0.0.0/8"
    }
    s3 = {
      from_port      = 443
      to_port        = 443
      protocol       = "tcp"
      description    = "S3 by its gateway endpoint"
      prefix_list_id = var.s3_prefix_list_id
    }
  }

  runners = {
    arm = {
      limit = 40
      fleet = {
        instance_types   = ["c8g.xlarge", "c7g.xlarge", "m8g.xlarge", "m7g.xlarge"]
        capacity         = 2
        registry_mirrors = ["https://mirror.example.com"]
        setup_script     = file("${path.module}/setup.sh")
      }
    }
    intel = {
      limit                    = 20
      token_ssm_parameter_name = "/ci/runner-token-intel"
      docker                   = { image = "alpine:latest", privileged = true, volumes = ["/cache", "/certs/client"] }
      fleet = {
        instance_types   = ["c7i.large", "c7a.large", "m7i.large", "m7a.large"]
        registry_mirrors = ["https://mirror.example.com"]
        root_volume      = { size_gib = 60, throughput = 250 }
      }
    }
  }
}

output "manager_security_group_id" {
  description = "For the groups of GitLab and of the proxy: let this one in."
  value       = module.runner_fleet.manager_security_group_id
}
