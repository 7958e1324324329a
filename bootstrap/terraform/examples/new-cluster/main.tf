# The whole of the reference platform: a private cluster with the Gateway API and Managed Prometheus, Config Sync, accelerators
# in the four ways that they can be had, and pointsman, which may move the pools' limits.
terraform {
  required_version = ">= 1.7"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 9"
    }
  }
}

variable "project" {
  description = "The project."
  type        = string
}

variable "archive" {
  description = "The functions' archive."
  type        = string
}

locals {
  location = "us-central1"
}

provider "google" {
  project = var.project
  region  = local.location
}

module "cluster" {
  source = "../../modules/cluster"

  project  = var.project
  name     = "serving"
  location = local.location
}

module "config_sync" {
  source = "../../modules/config-sync"

  project             = var.project
  membership          = module.cluster.membership
  membership_location = local.location
  repository          = "https://github.com/example/platform.git"
}

module "accelerators" {
  source = "../../modules/accelerators"

  project      = var.project
  cluster      = module.cluster.id
  location     = local.location
  node_account = module.cluster.node_account

  pools = {
    h100-reserved = {
      pool         = "h100"
      machine_type = "a3-highgpu-8g"
      accelerator  = "nvidia-h100-80gb"
      count        = 8
      zones        = ["us-central1-a"]
      provisioning = "reservation"
      reservation  = "models"
    }
    l4 = {
      pool         = "l4"
      machine_type = "g2-standard-8"
      accelerator  = "nvidia-l4"
      zones        = ["us-central1-a", "us-central1-b"]
      provisioning = "on-demand"
    }
    v6e-flex = {
      pool         = "v6e"
      machine_type = "ct6e-standard-4t"
      tpu_topology = "2x2"
      zones        = ["us-central1-b"]
      provisioning = "flex-start"
      max_run_s    = 259200
    }
    l4-spot = {
      pool         = "l4"
      machine_type = "g2-standard-8"
      accelerator  = "nvidia-l4"
      zones        = ["us-central1-a", "us-central1-b"]
      provisioning = "spot"
    }
  }
}

module "pointsman" {
  source = "../.."

  project    = var.project
  location   = local.location
  cluster    = module.cluster.name
  repository = "https://github.com/example/models.git"
  archive    = var.archive
  operators  = ["group:ml-platform@example.com"]
  pools      = "resize"
  tracing    = true

  secrets = {
    webhooks   = "pointsman-webhooks"
    repository = "pointsman-repository"
    registries = ["pointsman-mlflow"]
    channels   = ["pointsman-slack", "pointsman-chat"]
  }
}

output "webhook_url" {
  description = "Where webhooks are sent to."
  value       = module.pointsman.webhook_url
}

output "pools" {
  description = "Node pools for `candidates[].nodePool`."
  value       = module.accelerators.names
}
