resource "google_cloud_scheduler_job" "schedule" {
  for_each = local.scheduled

  project          = local.project
  region           = var.location
  name             = "pointsman-${replace(each.key, "_", "-")}"
  description      = "pointsman: calls ${each.key}"
  schedule         = each.value
  time_zone        = "Etc/UTC"
  attempt_deadline = "${local.functions[each.key].timeout_s + 5}s"

  retry_config {
    retry_count = 0 # the next minute is as good
  }

  http_target {
    uri         = local.deployed[each.key].uri
    http_method = "POST"

    oidc_token {
      service_account_email = google_service_account.account[local.topology.carriers.schedule].email
      audience              = local.deployed[each.key].uri
    }
  }
}
