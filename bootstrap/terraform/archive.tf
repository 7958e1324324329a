# One archive for all functions. Its digest is in its name: what has not changed is not deployed again.
resource "google_storage_bucket" "archive" {
  #checkov:skip=CKV_GCP_62: access to one archive of open source code is in the audit log
  #checkov:skip=CKV_GCP_78: an archive's name is its content
  project                     = local.project
  name                        = "${var.project}-pointsman-${var.location}"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true
  labels                      = local.labels
}

resource "google_storage_bucket_object" "archive" {
  name   = "functions-${filesha256(var.archive)}.zip"
  bucket = google_storage_bucket.archive.name
  source = var.archive
}
