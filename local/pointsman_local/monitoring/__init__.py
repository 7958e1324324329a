"""Cloud Monitoring on one machine: Managed Prometheus for Envoy and the model servers, queries, alert policies.

Once a second the gateway's and every running pod's metrics are scraped and stored as Managed Prometheus stores
them; `ListTimeSeries` reads them, alert policies are evaluated after each scrape and tell Pub/Sub of incidents.

Kinder than the service: points are queryable at once, and alignment periods under a minute are allowed, since
the scrapes are a second apart. What is not imitated is refused by name.
"""

from pointsman_local.monitoring.server import serve

__all__ = ["serve"]
