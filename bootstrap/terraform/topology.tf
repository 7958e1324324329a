# What there is: bootstrap/topology.yaml, which the local cloud reads too. Everything below is made of these.
locals {
  topology    = yamldecode(file("${path.module}/../topology.yaml"))
  permissions = yamldecode(file("${path.module}/../permissions.yaml"))

  topics    = local.topology.topics
  functions = local.topology.functions
  workflows = local.topology.workflows
  labels    = merge(var.labels, { app = "pointsman" })

  # topic → the function that it reaches
  pushed = { for name, function in local.functions : function.topic => name if can(function.topic) }

  # function → its schedule
  scheduled = { for name, function in local.functions : name => function.schedule if can(function.schedule) }

  # trigger → method of the audit log, and whom it reaches
  audited = var.vertex_ai ? merge([
    for name, function in local.functions : {
      for method in function.audit.methods :
      replace(lower(trimprefix(method, "google.cloud.aiplatform.")), ".", "-") => {
        function = name
        service  = function.audit.service
        method   = method
      }
    } if can(function.audit)
  ]...) : {}

  # Functions that another function asks come first: the other is told their URL.
  asked = toset([for name, function in local.functions : name if anytrue([for by in try(function.invokers, []) : contains(keys(local.functions), by)])])
}
