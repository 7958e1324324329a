# A private cluster with what pointsman needs: the Gateway API, Managed Prometheus, and a DNS endpoint, which functions reach
# with their own identity and no way into the VPC.
resource "google_container_cluster" "cluster" {
  #checkov:skip=CKV_GCP_12: Dataplane V2 enforces network policies without the add-on
  #checkov:skip=CKV_GCP_65: no group of administrators can be named here
  #checkov:skip=CKV_GCP_66: what may run is a question for the platform: Binary Authorization has a policy of its own
  #checkov:skip=CKV_GCP_20: the address endpoint is off; the DNS endpoint asks IAM
  #checkov:skip=CKV_GCP_61: VPC flow logs, see network.tf
  project             = local.project
  name                = var.name
  location            = var.location
  network             = google_compute_network.network.id
  subnetwork          = google_compute_subnetwork.nodes.id
  datapath_provider   = "ADVANCED_DATAPATH"
  networking_mode     = "VPC_NATIVE"
  deletion_protection = var.deletion_protection
  resource_labels     = merge({ cluster = var.name }, var.labels)

  initial_node_count       = 1 # GKE makes a first pool in any case
  remove_default_node_pool = true

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }

  private_cluster_config {
    enable_private_nodes = true
  }

  control_plane_endpoints_config {
    dns_endpoint_config {
      allow_external_traffic = true
    }

    ip_endpoints_config {
      enabled = false
    }
  }

  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }

  release_channel {
    channel = var.release_channel
  }

  gateway_api_config {
    channel = "CHANNEL_STANDARD"
  }

  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }

  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS", "DEPLOYMENT", "POD", "HPA", "DCGM"]

    managed_prometheus {
      enabled = true
    }
  }

  node_config {
    service_account = google_service_account.nodes.email # of the first pool, while it is there

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  fleet {
    project = local.project
  }

  lifecycle {
    ignore_changes = [node_config, initial_node_count]
  }
}
