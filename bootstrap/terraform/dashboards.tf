# What the functions log as numbers, and the pages that show it.
resource "google_logging_metric" "metric" {
  for_each = { for metric in try(yamldecode(file("${local.dashboards}/log-metrics.yaml")).metrics, []) : metric.name => metric }

  project          = local.project
  name             = each.key
  description      = each.value.description
  filter           = each.value.filter
  label_extractors = each.value.label_extractors
  value_extractor  = try(each.value.value_extractor, null)

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = each.value.value_type
    unit        = each.value.unit

    dynamic "labels" {
      for_each = each.value.label_extractors

      content {
        key = labels.key
      }
    }
  }

  dynamic "bucket_options" {
    for_each = can(each.value.bounds) ? [each.value.bounds] : []

    content {
      explicit_buckets {
        bounds = bucket_options.value
      }
    }
  }
}

locals {
  pages = { for file in fileset(local.dashboards, "cloud-monitoring/*.json") : trimsuffix(basename(file), ".json") => file("${local.dashboards}/${file}") }
}

# Monitoring fills in defaults, which are no change of ours; a page of ours that changed is a new page.
resource "terraform_data" "page" {
  for_each = local.pages

  input = sha256(each.value)
}

resource "google_monitoring_dashboard" "dashboard" {
  for_each = local.pages

  project        = local.project
  dashboard_json = each.value

  lifecycle {
    ignore_changes       = [dashboard_json]
    replace_triggered_by = [terraform_data.page[each.key]]
  }
}
