terraform {
  required_version = ">= 1.7" # mock providers in `terraform test`

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 9"
    }
  }
}
