# Functions start workflows by these names: they have no prefix.
resource "google_workflows_workflow" "workflow" {
  for_each = local.workflows

  project                 = local.project
  region                  = var.location
  name                    = each.key
  description             = "pointsman: workflows/${each.key}.yaml"
  service_account         = google_service_account.account[each.key].id
  source_contents         = file("${path.module}/../../workflows/${each.key}.yaml")
  user_env_vars           = { for variable, function in each.value.env : variable => local.deployed[function].uri }
  call_log_level          = var.call_log_level
  execution_history_level = "EXECUTION_HISTORY_BASIC"
  deletion_protection     = false # or `terraform destroy` is refused; an execution under way ends by itself
  labels                  = local.labels
}
