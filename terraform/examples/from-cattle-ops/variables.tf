# The inputs of cattle-ops/terraform-aws-gitlab-runner 9, under their names, as far as they mean something here. What a block
# of that module says can be said to this one; README.md tells what becomes of each, and of those that are not here.

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "environment" {
  description = "As there. It becomes the manager's name, the owner in every tag."
  type        = string
}

variable "vpc_id" {
  description = "As there."
  type        = string
}

variable "subnet_id" {
  description = "As there: one subnet. More subnets mean more spot capacity; they are runner_worker_docker_machine_instance.subnet_ids."
  type        = string
}

variable "tags" {
  description = "As there."
  type        = map(string)
  default     = {}
}

variable "suppressed_tags" {
  description = "As there."
  type        = list(string)
  default     = []
}

variable "security_group_prefix" {
  description = "As there."
  type        = string
  default     = ""
}

variable "iam_object_prefix" {
  description = "As there."
  type        = string
  default     = ""
}

variable "iam_permissions_boundary" {
  description = "As there: the policy's name."
  type        = string
  default     = ""
}

variable "runner_package" {
  description = "New: where the package of runner-fleet lies, and its sha256."
  type = object({
    url    = string
    sha256 = string
  })
}

variable "read_api_token_ssm_parameter_name" {
  description = "New: SSM parameter with a token of scope read_api, which sees the queue. Without it idle_count must be 1 or more."
  type        = string
  default     = null
}

variable "runner_manager" {
  description = "As there."
  type = object({
    gitlab_check_interval     = optional(number, 3)
    maximum_concurrent_jobs   = optional(number, 10)
    prometheus_listen_address = optional(string, "")
    connection_max_age        = optional(string, "15m")
  })
  default = {}
}

variable "runner_instance" {
  description = "As there. An Intel or AMD type takes the package for amd64."
  type = object({
    additional_tags      = optional(map(string), {})
    max_lifetime_seconds = optional(number)
    monitoring           = optional(bool, false)
    name                 = string
    private_address_only = optional(bool, true)
    ssm_access           = optional(bool, false)
    type                 = optional(string, "t4g.micro")
  })
  default = { name = "gitlab-runner" }
}

variable "runner_cloudwatch" {
  description = "As there."
  type = object({
    enable         = optional(bool, true)
    log_group_name = optional(string)
    retention_days = optional(number, 0)
  })
  default = {}
}

variable "runner_gitlab" {
  description = "As there."
  type = object({
    ca_certificate                                = optional(string, "")
    preregistered_runner_token_ssm_parameter_name = string
    url                                           = string
    url_clone                                     = optional(string, "")
  })
}

variable "runner_worker" {
  description = "As there, with max_jobs as the jobs at one time (limit)."
  type = object({
    environment_variables = optional(list(string), [])
    max_jobs              = optional(number, 0)
    output_limit          = optional(number, 4096)
    request_concurrency   = optional(number, 1)
    ssm_access            = optional(bool, false)
  })
  default = {}
}

variable "runner_worker_cache" {
  description = "As there. To share the old module's bucket while both run: create = false, bucket = \"…\"."
  type = object({
    bucket             = optional(string, "")
    bucket_prefix      = optional(string, "")
    create             = optional(bool, true)
    expiration_days    = optional(number, 1)
    include_account_id = optional(bool, true)
    shared             = optional(bool, false)
    versioning         = optional(bool, false)
  })
  default = {}
}

variable "runner_worker_gitlab_pipeline" {
  description = "As there: TOML's quotes around the scripts may stay or go."
  type = object({
    post_build_script = optional(string, "")
    pre_build_script  = optional(string, "")
    pre_clone_script  = optional(string, "")
  })
  default = {}
}

variable "runner_worker_docker_options" {
  description = "As there."
  type = object({
    allowed_images            = optional(list(string))
    allowed_services          = optional(list(string))
    cap_add                   = optional(list(string))
    cap_drop                  = optional(list(string))
    cpus                      = optional(string)
    devices                   = optional(list(string))
    disable_cache             = optional(bool)
    dns                       = optional(list(string))
    extra_hosts               = optional(list(string))
    helper_image              = optional(string)
    image                     = optional(string, "docker:18.03.1-ce")
    memory                    = optional(string)
    network_mode              = optional(string)
    privileged                = optional(bool, true)
    pull_policies             = optional(list(string), ["always"])
    runtime                   = optional(string)
    security_opt              = optional(list(string))
    shm_size                  = optional(number)
    user                      = optional(string)
    volumes                   = optional(list(string), ["/cache"])
    wait_for_services_timeout = optional(number)
  })
  default = {}
}

variable "runner_worker_docker_services" {
  description = "As there."
  type = list(object({
    name       = string
    alias      = string
    entrypoint = list(string)
    command    = list(string)
  }))
  default = []
}

variable "runner_worker_docker_volumes_tmpfs" {
  description = "As there."
  type        = list(object({ volume = string, options = string }))
  default     = []
}

variable "runner_worker_docker_services_volumes_tmpfs" {
  description = "As there."
  type        = list(object({ volume = string, options = string }))
  default     = []
}

variable "runner_worker_docker_add_dind_volumes" {
  description = "As there."
  type        = bool
  default     = false
}

variable "runner_worker_docker_machine_ami_id" {
  description = "As there. Default: Debian 13, on which Docker is installed at boot."
  type        = string
  default     = ""
}

variable "worker_ssh_user" {
  description = "New: the image's login, where it is not Debian's: ubuntu, ec2-user."
  type        = string
  default     = null
}

variable "runner_worker_docker_machine_role" {
  description = "As there."
  type = object({
    additional_tags = optional(map(string), {})
    policy_arns     = optional(list(string), [])
  })
  default = {}
}

variable "runner_worker_docker_machine_instance" {
  description = "As there."
  type = object({
    destroy_after_max_builds   = optional(number, 0)
    docker_registry_mirror_url = optional(string, "")
    idle_count                 = optional(number, 0)
    idle_time                  = optional(number, 600)
    max_growth_rate            = optional(number, 0)
    name_prefix                = optional(string, "")
    private_address_only       = optional(bool, true)
    root_size                  = optional(number, 30)
    start_script               = optional(string, "")
    subnet_ids                 = optional(list(string), [])
    types                      = optional(list(string), ["m5.large"])
    volume_type                = optional(string, "gp3")
  })
  default = {}
}

variable "runner_worker_docker_machine_instance_spot" {
  description = "As there."
  type = object({
    enable    = optional(bool, true)
    max_price = optional(string, "on-demand-price")
  })
  default = {}
}

variable "runner_worker_docker_machine_ec2_metadata_options" {
  description = "As there; IMDSv2 is always required."
  type = object({
    http_tokens                 = optional(string, "required")
    http_put_response_hop_limit = number
  })
  default = null
}

variable "runner_worker_docker_machine_autoscaling_options" {
  description = "As there, with docker+machine's seven cron fields or with five."
  type = list(object({
    periods           = list(string)
    idle_count        = optional(number)
    idle_scale_factor = optional(number)
    idle_count_min    = optional(number)
    idle_time         = optional(number)
    timezone          = optional(string, "UTC")
  }))
  default = []
}
