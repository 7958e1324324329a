"""Envoy's configuration as JSON: the bootstrap, and the resources of its three dynamic files."""

from collections.abc import Sequence
from pathlib import Path

from pointsman_local.gateway.routes import Object
from pointsman_local.site import Site

__all__ = ["LATENCY_BUCKETS_MS", "ROUTES", "bootstrap", "cluster", "endpoints", "route_table"]

# Name of the route table, and stat prefix of the listener.
ROUTES = "gateway"

# Equal steps on a logarithmic scale: 10 % wide from 1 ms to 5 s, so that every latency is known to 10 %.
LATENCY_BUCKETS_MS = tuple(round(1.1**power, 4) for power in range(91))

# Shorter than servers keep idle connections (gunicorn 2 s, uvicorn and Node 5 s): a request on a connection
# that its server is just closing would be lost, and a new one costs a fraction of a millisecond here.
_UPSTREAM_IDLE = "1s"

_TYPE = "type.googleapis.com/envoy."
_CONNECTIONS = "envoy.filters.network.http_connection_manager"
_PROTOCOLS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def bootstrap(site: Site, xds: Path) -> Object:
    """Everything that does not change while Envoy runs."""
    return {
        "node": {"id": "gateway", "cluster": site.cluster},
        "admin": {"address": _address(site.ports["envoy-admin"])},
        # Histograms are merged on a flush only; at the default of 5 s they lag behind the counters.
        "stats_flush_interval": "0.5s",
        "stats_config": {
            "histogram_bucket_settings": [{"match": {"prefix": "cluster."}, "buckets": list(LATENCY_BUCKETS_MS)}]
        },
        "static_resources": {"listeners": [_listener(site.ports["gateway"], xds)]},
        "dynamic_resources": {"cds_config": _file(xds / "clusters.json")},
    }


def _listener(port: int, xds: Path) -> Object:
    manager = {
        "@type": f"{_TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": ROUTES,
        "use_remote_address": True,
        # A route's own timeout bounds an answer; 5 min between two tokens would not be ours to forbid.
        "stream_idle_timeout": "0s",
        "rds": {"route_config_name": ROUTES, "config_source": _file(xds / "routes.json")},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    return {
        "name": ROUTES,
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": _CONNECTIONS, "typed_config": manager}]}],
    }


def route_table(hosts: Sequence[Object]) -> Object:
    return {
        "@type": f"{_TYPE}config.route.v3.RouteConfiguration",
        "name": ROUTES,
        "ignore_port_in_host_matching": True,
        "virtual_hosts": list(hosts),
    }


def cluster(name: str, http2: bool, file: Path) -> Object:
    """No retries and no outlier detection: what a canary answers has to reach the judge, and users, as it is."""
    protocol = "http2_protocol_options" if http2 else "http_protocol_options"
    return {
        "@type": f"{_TYPE}config.cluster.v3.Cluster",
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _file(file)},
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": {
            _PROTOCOLS: {
                "@type": f"type.googleapis.com/{_PROTOCOLS}",
                "common_http_protocol_options": {"idle_timeout": _UPSTREAM_IDLE},
                "explicit_http_config": {protocol: {}},
            }
        },
    }


def endpoints(name: str, ports: Sequence[int]) -> Object:
    found = [{"endpoint": {"address": _address(port)}} for port in ports]
    return {
        "@type": f"{_TYPE}config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": found}] if found else [],
    }


def _address(port: int) -> Object:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _file(path: Path) -> Object:
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}
