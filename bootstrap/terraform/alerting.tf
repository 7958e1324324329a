# Incidents reach on_alert by the same topic as those of everybody else's policies; the policies are dashboards/alerts.
locals {
  dashboards = "${path.module}/../../dashboards"
  policies   = { for file in fileset(local.dashboards, "alerts/*.yaml") : trimsuffix(basename(file), ".yaml") => yamldecode(file("${local.dashboards}/${file}")) }
}

resource "google_monitoring_notification_channel" "alerts" {
  project      = local.project
  display_name = "pointsman"
  description  = "Incidents reach on_alert, which acts by AlertRules"
  type         = "pubsub"
  labels       = { topic = google_pubsub_topic.topic[one([for name, topic in local.topics : name if contains(try(topic.publishers, []), "monitoring")])].id }
  user_labels  = local.labels
}

resource "google_monitoring_alert_policy" "policy" {
  for_each = var.alerting ? local.policies : {}

  project               = local.project
  display_name          = each.value.display_name
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = concat([google_monitoring_notification_channel.alerts.name], tolist(var.notification_channels))
  user_labels           = merge(local.labels, each.value.user_labels)

  conditions {
    display_name = each.value.summary

    condition_prometheus_query_language {
      query                     = each.value.query
      duration                  = each.value.duration
      evaluation_interval       = each.value.evaluation_interval
      disable_metric_validation = true # no metric exists before its first sample
    }
  }

  alert_strategy {
    auto_close = each.value.auto_close
  }

  documentation {
    content   = "${each.value.summary}\n\nWhat to do: ${each.value.runbook}"
    mime_type = "text/markdown"
  }

  depends_on = [google_logging_metric.metric]
}
