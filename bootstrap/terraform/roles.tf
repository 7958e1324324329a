# The rights that topology.yaml gives, as permissions.yaml says what each is. Only members are added, here and everywhere: a
# binding or policy would take other people's grants away.
locals {
  rights  = local.permissions.rights
  holders = merge(local.functions, local.workflows)

  # What this installation gives besides what the topology says, and what it leaves out.
  besides = merge(
    { for name in keys(local.holders) : name => [] },
    { for name, function in local.functions : name => concat(
      var.tracing && contains(try(function.env, ["POINTSMAN_TRACES"]), "POINTSMAN_TRACES") ? ["trace"] : [],
      var.pools == "full" && contains(function.may, "node_pools") ? ["nodes"] : [],
    ) },
  )
  unused = var.vertex_ai ? [] : ["registry"]

  # holder → its rights, each once: `start:roll-out` is `start`, since Workflows knows no grant on one workflow
  held = {
    for name, holder in local.holders :
    name => setsubtract(toset(concat([for word in holder.may : split(":", word)[0]], local.besides[name])), local.unused)
  }

  projectwide = merge([
    for name, rights in local.held : {
      for right in rights : "${name}/${right}" => { account = name, right = right }
      if contains(["project", "database"], local.rights[right].scope)
    }
  ]...)
}

resource "google_project_iam_custom_role" "right" {
  for_each = {
    for name in setunion(values(local.held)...) : name => local.rights[name]
    if can(local.rights[name].permissions)
  }

  project     = local.project
  role_id     = "pointsman${join("", [for word in split("_", replace(each.key, "-", "_")) : title(word)])}"
  title       = "pointsman: ${each.key}"
  description = "What `${each.key}` in bootstrap/topology.yaml stands for"
  permissions = (
    each.key == "kubernetes" && var.connect_gateway != null
    ? each.value.connect_gateway
    : concat(each.value.permissions, each.key == "node_pools" ? lookup(each.value, var.pools, []) : [])
  )
}

resource "google_project_iam_member" "right" {
  for_each = local.projectwide

  project = local.project
  role    = google_project_iam_custom_role.right[each.value.right].name
  member  = google_service_account.account[each.value.account].member

  dynamic "condition" {
    for_each = local.rights[each.value.right].scope == "database" ? [google_firestore_database.ledger.name] : []

    content {
      title       = "pointsman's ledger alone"
      description = "No other database of the project"
      expression  = "resource.name == \"projects/${var.project}/databases/${condition.value}\""
    }
  }
}

resource "google_service_account_iam_member" "nodes" {
  for_each = toset([for name, rights in local.held : name if contains(rights, "nodes")])

  service_account_id = "projects/${local.project}/serviceAccounts/${coalesce(var.node_account, "none")}"
  role               = google_project_iam_custom_role.right["nodes"].name
  member             = google_service_account.account[each.key].member
}
