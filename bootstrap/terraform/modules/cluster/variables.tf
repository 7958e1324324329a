variable "project" {
  description = "Project of cluster and network."
  type        = string
}

variable "name" {
  description = "Name of the cluster, its network and its nodes' account."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,19}$", var.name))
    error_message = "At most 20 lower-case letters, digits and dashes: names of other things are made of it."
  }
}

variable "location" {
  description = "Region of the cluster."
  type        = string
}

variable "release_channel" {
  description = "GKE release channel: `RAPID`, `REGULAR` or `STABLE`."
  type        = string
  default     = "REGULAR"
}

variable "ranges" {
  description = "Address ranges: of nodes, pods, services, and of the Gateway's proxies."
  type = object({
    nodes    = optional(string, "10.0.0.0/20")
    pods     = optional(string, "10.16.0.0/14")
    services = optional(string, "10.20.0.0/20")
    proxies  = optional(string, "10.0.16.0/23")
  })
  default = {}
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the cluster."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels for what takes some."
  type        = map(string)
  default     = {}
}
