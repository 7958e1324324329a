output "webhook_url" {
  description = "Where GitHub, GitLab, MLflow, Alertmanager and Grafana send their webhooks: below it `/webhooks/SENDER`."
  value       = local.deployed["receive_webhook"].uri
}

output "command_url" {
  description = "For `POINTSMAN_COMMAND_URL`, by which `pointsman abort` and the like find their function."
  value       = local.deployed["command"].uri
}

output "ledger" {
  description = "For `POINTSMAN_LEDGER`, by which `pointsman status` and the like find the ledger."
  value       = local.settings.POINTSMAN_LEDGER
}

output "alert_channel" {
  description = "Notification channel for alert policies of your own: its incidents reach `on_alert`."
  value       = google_monitoring_notification_channel.alerts.name
}

output "accounts" {
  description = "Function, workflow or carrier → email of its service account."
  value       = { for name, account in google_service_account.account : name => account.email }
}
