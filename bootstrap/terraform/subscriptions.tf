# Ours, and not a trigger's: an Eventarc subscription has neither these waits nor a dead letter.
resource "google_pubsub_subscription" "push" {
  for_each = local.pushed

  project                    = local.project
  name                       = "${each.key}-${replace(each.value, "_", "-")}"
  topic                      = google_pubsub_topic.topic[each.key].id
  ack_deadline_seconds       = local.topology.push.ack_deadline_s
  message_retention_duration = "${local.topology.push.retention_s}s"
  labels                     = local.labels

  expiration_policy {
    ttl = "" # never, however long nobody pushes
  }

  retry_policy {
    minimum_backoff = "${local.topology.push.backoff_s[0]}s"
    maximum_backoff = "${local.topology.push.backoff_s[1]}s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.topic["${each.key}-dead"].id
    max_delivery_attempts = local.topology.push.attempts_max
  }

  push_config {
    push_endpoint = local.deployed[each.value].uri

    oidc_token {
      service_account_email = google_service_account.account[local.topology.carriers.topic].email
      audience              = local.deployed[each.value].uri
    }
  }
}

resource "google_pubsub_subscription" "dead" {
  for_each = local.topics

  project                    = local.project
  name                       = "${each.key}-dead"
  topic                      = google_pubsub_topic.topic["${each.key}-dead"].id
  ack_deadline_seconds       = local.topology.push.ack_deadline_s
  message_retention_duration = "${local.topology.push.retention_s}s"
  labels                     = local.labels

  expiration_policy {
    ttl = ""
  }
}

# Without both of these the dead letter stays empty, and nobody is told why.
resource "google_pubsub_topic_iam_member" "dead" {
  for_each = local.pushed

  project = local.project
  topic   = google_pubsub_topic.topic["${each.key}-dead"].name
  role    = "roles/pubsub.publisher"
  member  = local.agents.pubsub
}

resource "google_pubsub_subscription_iam_member" "dead" {
  for_each = local.pushed

  project      = local.project
  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.agents.pubsub
}

# Who gives what lies in the dead letters another try.
resource "google_pubsub_subscription_iam_member" "redriver" {
  for_each = merge([
    for holder, item in local.holders : {
      for topic in keys(local.topics) : "${holder}/${topic}" => { account = holder, topic = topic }
    } if contains(item.may, "dead-letters")
  ]...)

  project      = local.project
  subscription = google_pubsub_subscription.dead[each.value.topic].name
  role         = google_project_iam_custom_role.right["dead-letters"].name
  member       = google_service_account.account[each.value.account].member
}
