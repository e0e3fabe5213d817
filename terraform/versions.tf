terraform {
  # Validations look at other variables, which came with 1.9. Tried with 1.11.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # data.aws_region.region came with 6.0; before it was .name, which 6.0 calls deprecated.
      version = ">= 6.0, < 7.0"
    }
  }
}
