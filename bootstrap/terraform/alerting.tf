resource "google_monitoring_notification_channel" "alerts" {
  project      = local.project
  display_name = "pointsman"
  description  = "Incidents reach on_alert, which acts by AlertRules"
  type         = "pubsub"
  labels       = { topic = google_pubsub_topic.topic[one([for name, topic in local.topics : name if contains(try(topic.publishers, []), "monitoring")])].id }
  user_labels  = local.labels
}
