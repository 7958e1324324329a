locals {
  settings = merge(
    {
      GOOGLE_CLOUD_PROJECT = var.project
      POINTSMAN_LOCATION   = var.location
      POINTSMAN_CLUSTER    = var.cluster
      POINTSMAN_LEDGER     = "firestore:${local.topology.ledger.database}"
      POINTSMAN_REPOSITORY = var.repository
      POINTSMAN_BRANCH     = var.branch
      POINTSMAN_POOLS      = var.pools
    },
    var.connect_gateway != null ? { POINTSMAN_CONNECT_GATEWAY = var.connect_gateway } : {},
    var.tracing ? { POINTSMAN_TRACES = "google" } : {},
  )

  # function → what it is told
  environments = {
    for name, function in local.functions : name => merge(
      { for variable, value in local.settings : variable => value if contains(try(function.env, keys(local.settings)), variable) },
      contains(try(function.secrets, []), "repository") && var.secrets.repository != null ? { POINTSMAN_REPOSITORY_TOKEN = var.secrets.repository } : {},
      contains(try(function.secrets, []), "webhooks") ? { POINTSMAN_WEBHOOK_SECRETS = "/etc/pointsman/webhooks" } : {},
    )
  }

  # function → secrets that lie in it as files: read at each call, so that a new version needs no deployment
  files = {
    for name, function in local.functions : name =>
    contains(try(function.secrets, []), "webhooks") ? { webhooks = var.secrets.webhooks } : {}
  }

  deployed = merge(module.asked, module.asking)
}

module "asked" {
  source   = "./function"
  for_each = local.asked

  project     = local.project
  location    = var.location
  name        = each.key
  function    = local.functions[each.key]
  account     = google_service_account.account[each.key].email
  environment = local.environments[each.key]
  files       = local.files[each.key]
  deployment  = local.deployment

  depends_on = [google_project_iam_member.build, google_secret_manager_secret_iam_member.reader]
}

module "asking" {
  source   = "./function"
  for_each = toset([for name in keys(local.functions) : name if !contains(local.asked, name)])

  project  = local.project
  location = var.location
  name     = each.key
  function = local.functions[each.key]
  account  = google_service_account.account[each.key].email
  environment = merge(
    local.environments[each.key],
    { for name in local.asked : "${upper(name)}_URL" => module.asked[name].uri if contains(local.functions[name].invokers, each.key) },
  )
  files      = local.files[each.key]
  deployment = local.deployment

  # A function that may not be built is none, and one whose secret may not be read does not start.
  depends_on = [google_project_iam_member.build, google_secret_manager_secret_iam_member.reader]
}

locals {
  deployment = {
    runtime    = var.runtime
    account    = google_service_account.account["build"].id
    repository = google_artifact_registry_repository.functions.id
    bucket     = google_storage_bucket.archive.name
    object     = google_storage_bucket_object.archive.name
    labels     = local.labels
  }
}
