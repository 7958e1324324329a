# Node pools with accelerators, in the four ways that machines can be had. Each carries the label by which an AcceleratorPool
# finds it (`candidates[].nodePool`); pointsman moves minimum and maximum (POINTSMAN_POOLS=resize), never more.
terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
  }
}

variable "project" {
  description = "Project of the cluster."
  type        = string
}

variable "cluster" {
  description = "projects/P/locations/L/clusters/C."
  type        = string
}

variable "location" {
  description = "Location of the cluster."
  type        = string
}

variable "node_account" {
  description = "Email of the account that nodes run as."
  type        = string
}

variable "labels" {
  description = "Labels of the machines."
  type        = map(string)
  default     = {}
}

variable "pools" {
  description = "Node pool → whose it is (`pool`, an AcceleratorPool), its machines, and how they are had: `provisioning` is `reservation`, `on-demand`, `flex-start` or `spot`. GPUs: `accelerator`, `count`. TPUs: `tpu_topology`."
  type = map(object({
    pool         = string
    machine_type = string
    zones        = list(string)
    provisioning = string
    accelerator  = optional(string)
    count        = optional(number, 1)
    tpu_topology = optional(string)
    reservation  = optional(string)
    max_run_s    = optional(number, 604800)
    nodes_min    = optional(number, 0)
    nodes_max    = optional(number, 4)
    disk_gb      = optional(number, 200)
  }))

  validation {
    condition     = alltrue([for pool in var.pools : contains(["reservation", "on-demand", "flex-start", "spot"], pool.provisioning)])
    error_message = "provisioning is one of reservation, on-demand, flex-start, spot."
  }

  validation {
    condition     = alltrue([for pool in var.pools : (pool.provisioning == "reservation") == (pool.reservation != null)])
    error_message = "A pool on a reservation names it, and no other does."
  }

  validation {
    condition     = alltrue([for pool in var.pools : pool.max_run_s <= 604800])
    error_message = "Flex-start nodes live at most seven days."
  }
}

resource "google_container_node_pool" "pool" {
  for_each = var.pools

  project        = var.project
  name           = each.key
  cluster        = var.cluster
  location       = var.location
  node_locations = each.value.zones

  initial_node_count = 0

  autoscaling {
    total_min_node_count = each.value.nodes_min
    total_max_node_count = each.value.nodes_max
    location_policy      = "ANY" # machines are where they are; BALANCED would wait for all zones
  }

  management {
    auto_repair  = each.value.provisioning != "flex-start" # such nodes are not repaired, they end
    auto_upgrade = true
  }

  dynamic "placement_policy" {
    for_each = each.value.tpu_topology == null ? [] : [each.value.tpu_topology]

    content {
      type         = "COMPACT"
      tpu_topology = placement_policy.value
    }
  }

  node_config {
    machine_type     = each.value.machine_type
    image_type       = "COS_CONTAINERD"
    disk_size_gb     = each.value.disk_gb
    service_account  = var.node_account
    oauth_scopes     = ["https://www.googleapis.com/auth/cloud-platform"]
    labels           = { "pointsman.dev/pool" = each.value.pool }
    resource_labels  = var.labels
    spot             = each.value.provisioning == "spot"
    flex_start       = each.value.provisioning == "flex-start" ? true : null
    max_run_duration = each.value.provisioning == "flex-start" ? "${each.value.max_run_s}s" : null

    dynamic "guest_accelerator" {
      for_each = each.value.accelerator == null ? [] : [each.value.accelerator]

      content {
        type  = guest_accelerator.value
        count = each.value.count

        gpu_driver_installation_config {
          gpu_driver_version = "DEFAULT"
        }
      }
    }

    reservation_affinity {
      consume_reservation_type = each.value.provisioning == "reservation" ? "SPECIFIC_RESERVATION" : "NO_RESERVATION"
      key                      = each.value.provisioning == "reservation" ? "compute.googleapis.com/reservation-name" : null
      values                   = each.value.provisioning == "reservation" ? [each.value.reservation] : null
    }

    taint {
      key    = each.value.tpu_topology == null ? "nvidia.com/gpu" : "google.com/tpu"
      value  = "present"
      effect = "NO_SCHEDULE" # or the cluster's own pods keep a node alive
    }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }

    gcfs_config {
      enabled = true # images are streamed: a model server starts before it has come whole
    }
  }

  lifecycle {
    ignore_changes = [
      node_count,
      initial_node_count,
      autoscaling[0].total_min_node_count, # pointsman's, while a rollout or an alert needs nodes
      autoscaling[0].total_max_node_count,
    ]
  }
}

output "names" {
  description = "The node pools, for `candidates[].nodePool`."
  value       = [for pool in google_container_node_pool.pool : pool.name]
}
