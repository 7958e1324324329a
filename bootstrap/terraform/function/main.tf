# One function: an entry point of functions/main.py. It answers plain HTTP; whatever calls it is bound in ../invokers.tf.
terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
  }
}

variable "project" { type = string }
variable "location" { type = string }
variable "name" { type = string }
variable "function" { type = any } # its entry in topology.yaml
variable "account" { type = string }
variable "environment" { type = map(string) }
variable "files" { type = map(string) } # file below /etc/pointsman → id of the secret in it
variable "deployment" {
  type = object({
    runtime    = string
    account    = string
    repository = string
    bucket     = string
    object     = string
    labels     = map(string)
  })
}

resource "google_cloudfunctions2_function" "function" {
  #checkov:skip=CKV_GCP_124: the receiver is public on purpose, the others answer only to whom IAM lets in
  project     = var.project
  location    = var.location
  name        = "pointsman-${replace(var.name, "_", "-")}"
  description = "pointsman: ${var.name}"
  labels      = var.deployment.labels

  build_config {
    runtime           = var.deployment.runtime
    entry_point       = var.name
    service_account   = var.deployment.account
    docker_repository = var.deployment.repository

    source {
      storage_source {
        bucket = var.deployment.bucket
        object = var.deployment.object
      }
    }
  }

  service_config {
    available_memory                 = "${var.function.memory_mib}Mi"
    available_cpu                    = try(tostring(var.function.cpu), null) # null: by memory
    timeout_seconds                  = var.function.timeout_s
    max_instance_request_concurrency = try(var.function.concurrency, 1)
    min_instance_count               = 0
    max_instance_count               = try(var.function.instances_max, 20)
    ingress_settings                 = "ALLOW_ALL" # Workflows, Pub/Sub and Scheduler come by the public address; IAM is the wall
    all_traffic_on_latest_revision   = true
    service_account_email            = var.account
    environment_variables            = var.environment

    dynamic "secret_volumes" {
      for_each = var.files

      content {
        mount_path = "/etc/pointsman"
        project_id = var.project
        secret     = secret_volumes.value

        versions {
          version = "latest"
          path    = secret_volumes.key
        }
      }
    }
  }
}

output "uri" {
  description = "Where it answers: the audience of tokens for it."
  value       = google_cloudfunctions2_function.function.service_config[0].uri
}

output "service" {
  description = "Name of its Cloud Run service, on which callers are bound."
  value       = google_cloudfunctions2_function.function.name
}
