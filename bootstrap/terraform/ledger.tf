# The ledger: a database of its own, what is searched in it, and what forgets itself.
locals {
  collections = local.topology.ledger.collections
}

resource "google_firestore_database" "ledger" {
  project                           = local.project
  name                              = local.topology.ledger.database
  location_id                       = coalesce(var.ledger_location, var.location)
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "PESSIMISTIC"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.keep_ledger ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.keep_ledger ? "ABANDON" : "DELETE"
}

resource "google_firestore_backup_schedule" "daily" {
  project   = local.project
  database  = google_firestore_database.ledger.name
  retention = "604800s"

  daily_recurrence {}
}

resource "google_firestore_backup_schedule" "weekly" {
  project   = local.project
  database  = google_firestore_database.ledger.name
  retention = "8467200s" # 14 weeks, the longest there is

  weekly_recurrence {
    day = "SUNDAY"
  }
}

# Every search is by equality, newest first; one index a field is enough, since Firestore merges them.
resource "google_firestore_index" "search" {
  for_each = merge([
    for name, collection in local.collections : { for field in collection.indexed : "${name}/${field}" => { collection = name, field = field } }
  ]...)

  project    = local.project
  database   = google_firestore_database.ledger.name
  collection = each.value.collection

  fields {
    field_path = each.value.field
    order      = "ASCENDING"
  }

  fields {
    field_path = "written_at"
    order      = "DESCENDING"
  }
}

# The record itself is never searched: it would be indexed at every write.
resource "google_firestore_field" "record" {
  for_each = local.collections

  project    = local.project
  database   = google_firestore_database.ledger.name
  collection = each.key
  field      = "record"

  index_config {}
}

resource "google_firestore_field" "expiry" {
  for_each = { for name, collection in local.collections : name => collection.expires if can(collection.expires) }

  project    = local.project
  database   = google_firestore_database.ledger.name
  collection = each.key
  field      = each.value

  ttl_config {}
  index_config {}
}
