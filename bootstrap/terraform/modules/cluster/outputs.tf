output "name" {
  description = "Name of the cluster."
  value       = google_container_cluster.cluster.name
}

output "id" {
  description = "projects/P/locations/L/clusters/C."
  value       = google_container_cluster.cluster.id
}

output "node_account" {
  description = "Email of the account that nodes run as."
  value       = google_service_account.nodes.email
}

output "membership" {
  description = "Name of its membership in the fleet, for Config Sync."
  value       = google_container_cluster.cluster.fleet[0].membership_id
}
