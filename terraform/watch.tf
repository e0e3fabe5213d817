# Log group and alarm.

resource "aws_cloudwatch_log_group" "manager" {
  count = var.runner_cloudwatch.enable ? 1 : 0

  name              = local.log_group
  retention_in_days = var.runner_cloudwatch.retention_days
  kms_key_id        = var.kms_key_id == "" ? null : var.kms_key_id
  tags              = local.tags
}

# The host tells each minute whether the service is ready; a host that says nothing is not well either.
resource "aws_cloudwatch_metric_alarm" "manager" {
  count = var.runner_alarm.enable ? 1 : 0

  alarm_name          = "${var.environment}-runner-fleet-not-ready"
  alarm_description   = "The runner-fleet manager ${var.environment} is not ready: no new workers. Running jobs go on. Ask it: ${local.shell_command}"
  namespace           = local.health_metric.namespace
  metric_name         = local.health_metric.name
  dimensions          = { Manager = var.environment }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = var.runner_alarm.minutes
  datapoints_to_alarm = var.runner_alarm.minutes
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = var.runner_alarm.alarm_actions
  ok_actions          = var.runner_alarm.alarm_actions
  tags                = local.tags
}
