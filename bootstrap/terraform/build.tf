# Builds run as an account of ours: the default one may be disabled, or hold far more.
resource "google_artifact_registry_repository" "functions" {
  #checkov:skip=CKV_GCP_84: images of open source code, encrypted with Google's keys
  project       = local.project
  location      = var.location
  repository_id = "pointsman"
  format        = "DOCKER"
  description   = "Images of pointsman's functions"
  labels        = local.labels

  cleanup_policies {
    id     = "newest"
    action = "KEEP"

    most_recent_versions {
      keep_count = 3
    }
  }

  cleanup_policies {
    id     = "old"
    action = "DELETE"

    condition {
      older_than = "2592000s"
    }
  }
}

resource "google_project_iam_member" "build" {
  project = local.project
  role    = "roles/run.builder"
  member  = google_service_account.account["build"].member
}
