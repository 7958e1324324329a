# A topic, and where what nobody could take goes: a second topic with a subscription of its own, which keeps it.
resource "google_pubsub_topic" "topic" {
  #checkov:skip=CKV_GCP_83: events name commits and versions, no person and no secret; Google's keys do
  for_each = merge([for name in keys(local.topics) : { (name) = name, "${name}-dead" = name }]...)

  project = local.project
  name    = each.key
  labels  = local.labels
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = merge([
    for holder, item in local.holders : {
      for word in item.may : "${holder}/${trimprefix(word, "publish:")}" => {
        account = holder
        topic   = trimprefix(word, "publish:")
      } if startswith(word, "publish:")
    }
  ]...)

  project = local.project
  topic   = google_pubsub_topic.topic[each.value.topic].name
  role    = local.rights.publish.role
  member  = google_service_account.account[each.value.account].member
}

resource "google_pubsub_topic_iam_member" "agent" {
  for_each = merge([
    for name, topic in local.topics : { for agent in try(topic.publishers, []) : "${agent}/${name}" => { agent = agent, topic = name } }
  ]...)

  project = local.project
  topic   = google_pubsub_topic.topic[each.value.topic].name
  role    = "roles/pubsub.publisher"
  member  = local.agents[each.value.agent]

  depends_on = [google_monitoring_notification_channel.alerts] # the agent is made with the first channel
}
