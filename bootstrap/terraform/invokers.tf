# Who may call which function: its one way in, as the topology says, and nobody else.
locals {
  callers = merge(
    # workflows and functions
    merge([
      for name, function in local.functions : {
        for by in try(function.invokers, []) : "${name}/${by}" => { function = name, member = google_service_account.account[by].member } if by != "operators"
      }
    ]...),
    # what calls for Google
    { for topic, name in local.pushed : "${name}/${local.topology.carriers.topic}" => { function = name, member = google_service_account.account[local.topology.carriers.topic].member } },
    { for name, schedule in local.scheduled : "${name}/${local.topology.carriers.schedule}" => { function = name, member = google_service_account.account[local.topology.carriers.schedule].member } },
    { for name in toset([for trigger in local.audited : trigger.function]) : "${name}/${local.topology.carriers.audit}" => { function = name, member = google_service_account.account[local.topology.carriers.audit].member } },
    # people
    merge([
      for name, function in local.functions : { for member in var.operators : "${name}/${member}" => { function = name, member = member } }
      if contains(try(function.invokers, []), "operators")
    ]...),
    # everybody
    { for name, function in local.functions : "${name}/everyone" => { function = name, member = "allUsers" } if try(function.public, false) && var.public_receiver },
  )
}

resource "google_cloud_run_service_iam_member" "invoker" {
  for_each = local.callers

  project  = local.project
  location = var.location
  service  = local.deployed[each.value.function].service
  role     = local.rights.invoke.role
  member   = each.value.member
}
