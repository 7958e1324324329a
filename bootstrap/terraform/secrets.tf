# Secrets are yours: made before this is applied, never in a state file. Here is only who may read which.
locals {
  secrets = {
    webhooks   = toset([var.secrets.webhooks])
    repository = toset(var.secrets.repository == null ? [] : [var.secrets.repository])
    registries = var.secrets.registries
    channels   = var.secrets.channels
  }
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = merge(flatten([
    for name, function in local.functions : [
      for kind in try(function.secrets, []) : {
        for secret in local.secrets[kind] : "${name}/${secret}" => { account = name, secret = secret }
      }
    ]
  ])...)

  project   = local.project
  secret_id = each.value.secret
  role      = local.rights.secret.role
  member    = google_service_account.account[each.value.account].member
}
