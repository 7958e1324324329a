# pointsman beside a cluster that is there already: the least that has to be said.
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

provider "google" {
  project = var.project
}

module "pointsman" {
  source = "../.."

  project    = var.project
  location   = "us-central1"
  cluster    = "serving"
  repository = "https://github.com/example/models.git"
  archive    = var.archive
  operators  = ["group:ml-platform@example.com"]

  secrets = {
    webhooks   = "pointsman-webhooks"
    repository = "pointsman-repository"
    channels   = ["pointsman-slack"]
  }
}

output "webhook_url" {
  description = "Where webhooks are sent to."
  value       = module.pointsman.webhook_url
}
