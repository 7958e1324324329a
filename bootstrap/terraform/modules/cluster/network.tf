# Nodes have no public address: they reach out by NAT, and are reached by the Gateway's proxies.
terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
  }
}

resource "google_project_service" "api" {
  for_each = toset(["compute.googleapis.com", "container.googleapis.com", "gkehub.googleapis.com"])

  project            = var.project
  service            = each.value
  disable_on_destroy = false
}

locals {
  # The project, once its services are on.
  project = one(distinct([for api in google_project_service.api : api.project]))
}

resource "google_compute_network" "network" {
  #checkov:skip=CKV2_GCP_18: GKE makes the firewall rules that its nodes and load balancers need
  project                 = local.project
  name                    = var.name
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "nodes" {
  #checkov:skip=CKV_GCP_26: flow logs cost more than pointsman; turn them on where they are read
  project                  = local.project
  name                     = "${var.name}-nodes"
  region                   = var.location
  network                  = google_compute_network.network.id
  ip_cidr_range            = var.ranges.nodes
  private_ip_google_access = true

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = var.ranges.pods
  }

  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = var.ranges.services
  }
}

# A regional Gateway's load balancer needs it.
resource "google_compute_subnetwork" "proxies" {
  project       = local.project
  name          = "${var.name}-proxies"
  region        = var.location
  network       = google_compute_network.network.id
  ip_cidr_range = var.ranges.proxies
  purpose       = "REGIONAL_MANAGED_PROXY"
  role          = "ACTIVE"
}

resource "google_compute_router" "router" {
  project = local.project
  name    = var.name
  region  = var.location
  network = google_compute_network.network.id
}

resource "google_compute_router_nat" "nat" {
  project                            = local.project
  name                               = var.name
  region                             = var.location
  router                             = google_compute_router.router.name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}
