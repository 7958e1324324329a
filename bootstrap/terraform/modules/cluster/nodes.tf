resource "google_service_account" "nodes" {
  project      = local.project
  account_id   = "${var.name}-nodes"
  display_name = "Nodes of ${var.name}"
}

# What GKE asks of a node's account, and images.
resource "google_project_iam_member" "nodes" {
  for_each = toset(["roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader"])

  project = local.project
  role    = each.value
  member  = google_service_account.nodes.member
}

# Nodes for what needs no accelerator.
resource "google_container_node_pool" "system" {
  project  = local.project
  name     = "system"
  cluster  = google_container_cluster.cluster.id
  location = var.location

  autoscaling {
    total_min_node_count = 1
    total_max_node_count = 6
    location_policy      = "BALANCED"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  node_config {
    machine_type    = "e2-standard-4"
    image_type      = "COS_CONTAINERD"
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  lifecycle {
    ignore_changes = [node_count, initial_node_count] # the autoscaler's
  }
}
