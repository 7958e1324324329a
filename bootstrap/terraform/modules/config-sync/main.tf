# Config Sync on a cluster of the fleet: what the platform keeps in git (namespaces, RBAC, the Gateway) is applied from there.
# pointsman's own documents are not synchronised: pointsman reads them itself.
terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
  }
}

variable "project" {
  description = "Project of the fleet."
  type        = string
}

variable "membership" {
  description = "Name of the cluster's membership in the fleet."
  type        = string
}

variable "membership_location" {
  description = "Location of the membership: the cluster's region, or `global`."
  type        = string
}

variable "repository" {
  description = "Clone URL of the platform's repository."
  type        = string
}

variable "branch" {
  description = "Its branch."
  type        = string
  default     = "main"
}

variable "folder" {
  description = "Its folder, from the root."
  type        = string
  default     = "."
}

variable "secret_type" {
  description = "How Config Sync authenticates: `none`, `token`, `ssh`, `gcpserviceaccount` …"
  type        = string
  default     = "token"
}

resource "google_project_service" "api" {
  for_each = toset(["anthosconfigmanagement.googleapis.com", "gkehub.googleapis.com"])

  project            = var.project
  service            = each.value
  disable_on_destroy = false
}

resource "google_gke_hub_feature" "config_management" {
  project    = var.project
  name       = "configmanagement"
  location   = "global"
  depends_on = [google_project_service.api]
}

resource "google_gke_hub_feature_membership" "cluster" {
  project             = var.project
  location            = "global"
  feature             = google_gke_hub_feature.config_management.name
  membership          = var.membership
  membership_location = var.membership_location

  configmanagement {
    config_sync {
      enabled       = true
      source_format = "unstructured"
      prevent_drift = true

      git {
        sync_repo   = var.repository
        sync_branch = var.branch
        policy_dir  = var.folder
        secret_type = var.secret_type
      }
    }
  }
}
