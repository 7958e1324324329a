# New model versions in Vertex AI are only in the audit log: one trigger a method, for filters on it are exact. A method that
# takes long logs twice, and Eventarc gives up after 24 hours; on_model_registered and sweep know of both.
resource "google_eventarc_trigger" "audit" {
  for_each = local.audited

  project         = local.project
  location        = coalesce(var.vertex_location, var.location)
  name            = "pointsman-${each.key}"
  service_account = google_service_account.account[local.topology.carriers.audit].email
  labels          = local.labels

  matching_criteria {
    attribute = "type"
    value     = "google.cloud.audit.log.v1.written"
  }

  matching_criteria {
    attribute = "serviceName"
    value     = each.value.service
  }

  matching_criteria {
    attribute = "methodName"
    value     = each.value.method
  }

  destination {
    cloud_run_service {
      service = local.deployed[each.value.function].service
      region  = var.location
    }
  }

  depends_on = [google_project_iam_member.eventarc]
}

resource "google_project_iam_member" "eventarc" {
  for_each = length(local.audited) > 0 ? toset([local.topology.carriers.audit]) : []

  project = local.project
  role    = "roles/eventarc.eventReceiver"
  member  = google_service_account.account[each.key].member
}
