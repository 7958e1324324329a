# One account a function, a workflow and a carrier, and one that builds. None has a key.
resource "google_service_account" "account" {
  for_each = merge(
    { for name in keys(local.functions) : name => "function ${name}" },
    { for name in keys(local.workflows) : name => "workflow ${name}" },
    { for way, name in local.topology.carriers : name => "calls functions for Google, by ${way}" },
    { build = "builds the functions" },
  )

  project      = local.project
  account_id   = "pointsman-${replace(each.key, "_", "-")}"
  display_name = "pointsman: ${each.value}"
}
