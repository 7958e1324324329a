"""Where a cluster's API is when a fleet's Connect gateway leads there."""

import pytest

from pointsman.adapters.endpoints import read
from pointsman.adapters.kubernetes import through_gateway
from pointsman.errors import Invalid

CLUSTER = "projects/acme/locations/us-central1/clusters/serving"
BASE = {"GOOGLE_CLOUD_PROJECT": "acme"}


@pytest.mark.parametrize(
    ("fleet", "expected"),
    [
        pytest.param(
            "projects/123",
            "https://us-central1-connectgateway.googleapis.com/v1/projects/123/locations/us-central1/gkeMemberships/serving",
            id="membership-in-the-clusters-region",
        ),
        pytest.param(
            "projects/123/locations/global",
            "https://connectgateway.googleapis.com/v1/projects/123/locations/global/gkeMemberships/serving",
            id="global-membership",
        ),
    ],
)
def test_a_cluster_is_the_membership_of_its_name(fleet: str, expected: str) -> None:
    assert through_gateway(read({**BASE, "POINTSMAN_CONNECT_GATEWAY": fleet}).connect_gateway, CLUSTER) == expected


def test_without_a_fleet_clusters_have_a_dns_endpoint() -> None:
    assert read(BASE).connect_gateway == ""


@pytest.mark.parametrize("value", ["projects/acme", "123", "projects/123/locations/global/memberships/serving"])
def test_what_is_no_fleet_is_refused(value: str) -> None:
    with pytest.raises(Invalid, match="is no fleet"):
        read({**BASE, "POINTSMAN_CONNECT_GATEWAY": value})
