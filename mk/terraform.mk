# The Terraform module. Terraform itself comes from PATH; the rest is made below target/terraform.

.PHONY: terraform
terraform: ## the Terraform module: format, validity, tests, bad input, policies, documentation; without network
	@tests/terraform/run

.PHONY: terraform-docs
terraform-docs: ## rewrite the tables of inputs and outputs in the README of the Terraform modules
	@python3 tests/terraform/documentation.py terraform $(wildcard terraform/modules/*)

.PHONY: terraform-schema
terraform-schema: ## derive the AWS provider's schema anew from npm, and show the difference to what is committed
	@tests/terraform/derive/run
