variable "project" {
  description = "Project that pointsman runs in."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project's id has 6 to 30 lower-case letters, digits and dashes."
  }
}

variable "location" {
  description = "Region of functions, workflows, schedule and build."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.location))
    error_message = "A region, such as us-central1: not a zone."
  }
}

variable "cluster" {
  description = "Name of the GKE cluster that is meant where a document names none. Its DNS endpoint must be on."
  type        = string
}

variable "repository" {
  description = "Clone URL of the config repository, over HTTPS."
  type        = string

  validation {
    condition     = startswith(var.repository, "https://")
    error_message = "Repositories are read over HTTPS, with a token: see secrets.repository."
  }
}

variable "branch" {
  description = "Branch that is followed."
  type        = string
  default     = "main"
}

variable "archive" {
  description = "Path of the functions' archive, as `python -m pointsman_cli.bootstrap.archive` writes it."
  type        = string
}

variable "secrets" {
  description = "Ids of secrets in Secret Manager, which you make, with a version each: `webhooks` holds JSON, sender → list of its secrets; `repository` the repository's token; `registries` and `channels` are those that documents name."
  type = object({
    webhooks   = string
    repository = optional(string)
    registries = optional(set(string), [])
    channels   = optional(set(string), [])
  })
}

variable "operators" {
  description = "Who may command rollouts (`pointsman abort` and the like): IAM members, such as `group:ml-platform@example.com`."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group|serviceAccount|principal|principalSet|domain):", member))])
    error_message = "Members are people or groups by name; allUsers and allAuthenticatedUsers are nobody's name."
  }
}

variable "pools" {
  description = "What may be done to node pools: `observe`, `resize` (their minimum and maximum) or `full` (make and delete them). Rights are granted accordingly."
  type        = string
  default     = "observe"

  validation {
    condition     = contains(["observe", "resize", "full"], var.pools)
    error_message = "One of observe, resize, full."
  }
}

variable "node_account" {
  description = "Email of the service account that nodes run as. Needed where `pools` is `full`, which makes nodes."
  type        = string
  default     = null

  validation {
    condition     = var.pools != "full" || var.node_account != null
    error_message = "Whoever makes nodes names the account that they run as."
  }
}

variable "public_receiver" {
  description = "Whether anybody may call `receive_webhook`, which checks signatures itself. Off: where the organisation allows no `allUsers`, see docs/google-cloud.md."
  type        = bool
  default     = true
}

variable "vertex_ai" {
  description = "Whether new model versions in Vertex AI's registry are listened for, and may be read."
  type        = bool
  default     = true
}

variable "vertex_location" {
  description = "Region of Vertex AI whose registry is listened to. Null: `location`."
  type        = string
  default     = null
}

variable "connect_gateway" {
  description = "Fleet, `projects/NUMBER` or `projects/NUMBER/locations/LOCATION`, whose Connect gateway leads to the clusters where their DNS endpoint may not be on. Each is the membership of its name; in its own location, where none is said. Null: by DNS endpoints."
  type        = string
  default     = null

  validation {
    condition     = var.connect_gateway == null || can(regex("^projects/[0-9]+(/locations/[a-z0-9-]+)?$", var.connect_gateway))
    error_message = "The form is projects/NUMBER or projects/NUMBER/locations/LOCATION."
  }
}

variable "tracing" {
  description = "Whether functions send spans to Cloud Trace."
  type        = bool
  default     = false
}

variable "alerting" {
  description = "Whether the alert policies of dashboards/alerts are made; they read metrics that models must have."
  type        = bool
  default     = true
}

variable "notification_channels" {
  description = "Further notification channels for pointsman's alert policies, by name; pointsman's own topic is always one."
  type        = set(string)
  default     = []
}

variable "runtime" {
  description = "Python runtime of the functions."
  type        = string
  default     = "python312"
}

variable "call_log_level" {
  description = "What Workflows logs of each call: `LOG_ALL_CALLS`, `LOG_ERRORS_ONLY` or `LOG_NONE`."
  type        = string
  default     = "LOG_ERRORS_ONLY"
}

variable "ledger_location" {
  description = "Location of the ledger's database, which cannot be changed: a region, `nam5` or `eur3`. Null: `location`."
  type        = string
  default     = null
}

variable "keep_ledger" {
  description = "Whether the ledger's database outlives `terraform destroy`."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels for everything that takes some, beside `app = pointsman`."
  type        = map(string)
  default     = {}
}
