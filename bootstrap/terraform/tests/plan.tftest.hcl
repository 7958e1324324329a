# Real Terraform over the module itself, with a provider that is made up: what must hold whatever the variables are.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project    = "demo-project"
  location   = "us-central1"
  cluster    = "serving"
  repository = "https://github.com/example/models.git"
  archive    = "tests/plan.tftest.hcl" # any file
  secrets    = { webhooks = "pointsman-webhooks" }
}

run "observing" {
  command = plan

  assert {
    condition     = length(google_service_account.account) == length(local.functions) + length(local.workflows) + 4
    error_message = "an account for each function, workflow and carrier, and one that builds"
  }

  assert {
    condition     = !contains(google_project_iam_custom_role.right["node_pools"].permissions, "container.clusters.update")
    error_message = "whoever observes may change no cluster"
  }

  assert {
    condition     = [for key in keys(google_cloud_run_service_iam_member.invoker) : key if endswith(key, "/everyone")] == ["receive_webhook/everyone"]
    error_message = "one function is public"
  }

  assert {
    condition     = length(google_service_account_iam_member.nodes) == 0
    error_message = "nobody may act as the nodes"
  }
}

run "behind_a_policy" {
  command = plan

  variables {
    public_receiver = false
    vertex_ai       = false
    keep_ledger     = false
    connect_gateway = "projects/123456789012/locations/global"
  }

  assert {
    condition     = !anytrue([for key in keys(google_cloud_run_service_iam_member.invoker) : endswith(key, "/everyone")])
    error_message = "nothing is public"
  }

  assert {
    condition     = length(google_eventarc_trigger.audit) == 0 && !contains(keys(google_project_iam_custom_role.right), "registry")
    error_message = "nothing of Vertex AI"
  }

  assert {
    condition     = google_firestore_database.ledger.deletion_policy == "DELETE"
    error_message = "the ledger goes with the rest"
  }

  assert {
    condition     = !contains(google_project_iam_custom_role.right["kubernetes"].permissions, "container.clusters.connect")
    error_message = "the cluster is reached by the gateway alone"
  }
}

run "making_pools" {
  command = plan

  variables {
    pools        = "full"
    node_account = "nodes@demo-project.iam.gserviceaccount.com"
  }

  assert {
    condition     = keys(google_service_account_iam_member.nodes) == ["pool_step"]
    error_message = "one function may act as the nodes"
  }

  assert {
    condition     = contains(google_project_iam_custom_role.right["node_pools"].permissions, "container.clusters.update")
    error_message = "whoever makes pools may change the cluster"
  }
}

run "pools_by_no_such_word" {
  command = plan

  variables {
    pools = "everything"
  }

  expect_failures = [var.pools]
}

run "nodes_without_an_account" {
  command = plan

  variables {
    pools = "full"
  }

  expect_failures = [var.node_account]
}

run "operators_that_are_everybody" {
  command = plan

  variables {
    operators = ["allAuthenticatedUsers"]
  }

  expect_failures = [var.operators]
}

run "a_zone_for_a_region" {
  command = plan

  variables {
    location = "us-central1-a"
  }

  expect_failures = [var.location]
}
