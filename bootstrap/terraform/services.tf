resource "google_project_service" "api" {
  for_each = toset(concat(
    [
      "artifactregistry.googleapis.com",
      "cloudbuild.googleapis.com",
      "cloudfunctions.googleapis.com",
      "cloudresourcemanager.googleapis.com",
      "cloudscheduler.googleapis.com",
      "container.googleapis.com",
      "eventarc.googleapis.com",
      "firestore.googleapis.com",
      "iam.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "pubsub.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com",
      "storage.googleapis.com",
      "workflowexecutions.googleapis.com",
      "workflows.googleapis.com",
    ],
    var.vertex_ai ? ["aiplatform.googleapis.com"] : [],
    var.connect_gateway != null ? ["connectgateway.googleapis.com", "gkehub.googleapis.com"] : [],
    var.tracing ? ["telemetry.googleapis.com"] : [],
  ))

  project            = var.project
  service            = each.value
  disable_on_destroy = false # others may use it
}

data "google_project" "this" {
  project_id = var.project
}

locals {
  # The project, once its services are on: whatever names it this way waits for them.
  project = one(distinct([for api in google_project_service.api : api.project]))

  agents = {
    for name, domain in { pubsub = "gcp-sa-pubsub", monitoring = "gcp-sa-monitoring-notification" } :
    name => "serviceAccount:service-${data.google_project.this.number}@${domain}.iam.gserviceaccount.com"
  }
}
