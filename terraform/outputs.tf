locals {
  # Written for a person's shell: which instance it is, the group knows.
  find_host     = "aws autoscaling describe-auto-scaling-groups --region ${local.region} --filters Name=tag:${local.host_tag},Values=${var.environment} --query 'AutoScalingGroups[0].Instances[0].InstanceId' --output text"
  shell_command = "aws ssm start-session --region ${local.region} --target \"$(${local.find_host})\""
  listen_port   = try(regex(":([0-9]+)$", var.runner_manager.prometheus_listen_address)[0], "9252")
}

output "dashboard_command" {
  description = "Opens a tunnel to the dashboard: then look at http://127.0.0.1:9252. Needs the AWS command line with its Session Manager plugin; null without `runner_instance.ssm_access`."
  value       = local.ssm_access ? "${local.shell_command} --document-name AWS-StartPortForwardingSession --parameters portNumber=${local.listen_port},localPortNumber=9252" : null
}

output "shell_command" {
  description = "Opens a shell on the manager's host; null without `runner_instance.ssm_access`."
  value       = local.ssm_access ? local.shell_command : null
}

output "log_command" {
  description = "Shows the manager's log as it grows; null without `runner_cloudwatch.enable`."
  value       = var.runner_cloudwatch.enable ? "aws logs tail --region ${local.region} --follow ${local.log_group}" : null
}

output "log_group_name" {
  description = "Log group of the manager, or null."
  value       = var.runner_cloudwatch.enable ? local.log_group : null
}

output "runner_as_group_name" {
  description = "Auto Scaling group of the manager's host."
  value       = aws_autoscaling_group.manager.name
}

output "runner_launch_template_name" {
  description = "Launch template of the manager's host."
  value       = aws_launch_template.manager.name
}

output "manager_role_arn" {
  description = "The manager's role, or null when its profile was brought along."
  value       = one(aws_iam_role.manager[*].arn)
}

output "manager_role_name" {
  description = "Name of that role, or null."
  value       = one(aws_iam_role.manager[*].name)
}

output "manager_security_group_id" {
  description = "The manager's security group: a source for groups of yours that let it in."
  value       = aws_security_group.manager.id
}

output "manager_policy_json" {
  description = "The manager's policy, for a role of your own."
  value       = local.manager_policy
}

output "host_policy_json" {
  description = "What the manager's host needs besides (its group, the package, logs, alarm, Session Manager), for a role of your own."
  value       = local.host_policy
}

output "worker_role_arn" {
  description = "The workers' role, or null when none was made."
  value       = one(aws_iam_role.worker[*].arn)
}

output "worker_role_name" {
  description = "Name of that role, or null."
  value       = one(aws_iam_role.worker[*].name)
}

output "worker_instance_profile_name" {
  description = "The workers' instance profile, or null when none was made."
  value       = local.worker_profile
}

output "worker_policy_json" {
  description = "The workers' rights on ECR, for a role of your own; null without ECR."
  value       = local.has_worker_policy ? local.worker_policy : null
}

output "worker_security_group_id" {
  description = "The workers' security group."
  value       = aws_security_group.worker.id
}

output "runner_cache_bucket_name" {
  description = "Bucket of the jobs' cache, or null."
  value       = local.has_cache ? local.cache_bucket : null
}

output "runner_cache_bucket_arn" {
  description = "ARN of that bucket, or null."
  value       = local.has_cache ? local.cache_arn : null
}

output "ssh_key_parameter_name" {
  description = "SSM parameter in which the manager keeps its SSH key. It is not Terraform's: delete it after a destroy."
  value       = local.ssh_key_parameter
}

output "alarm_name" {
  description = "Alarm that rings when the manager is not ready, or null."
  value       = one(aws_cloudwatch_metric_alarm.manager[*].alarm_name)
}

output "config_toml" {
  description = "The manager's config.toml, as it lies on the host."
  value       = local.config_toml
}

output "config_toml_at_plan" {
  description = "The same with a placeholder for the id of the workers' group, known before anything is made: `terraform plan`, then `runner-fleet check`."
  value       = local.config_plan
}
