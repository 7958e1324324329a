"""Dashboards and alert policies. Three dashboards are described once, and written for Cloud Monitoring and Grafana."""
