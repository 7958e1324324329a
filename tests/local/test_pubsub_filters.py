"""The filter language of subscriptions."""

import pytest

from pointsman_local.pubsub import filters
from pointsman_local.pubsub.wire import Refused

ATTRIBUTES = {"type": "push", "ref": "refs/heads/main", "iana.org/x": "1", "empty": ""}


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        pytest.param("", True, id="no-filter"),
        pytest.param("attributes:type", True, id="key-is-there"),
        pytest.param("attributes:other", False, id="key-is-missing"),
        pytest.param('attributes.type = "push"', True, id="equal"),
        pytest.param('attributes.type="tag"', False, id="not-equal-value"),
        pytest.param('attributes.type != "tag"', True, id="unequal"),
        pytest.param('attributes.other != "tag"', True, id="unequal-holds-for-a-missing-key"),
        pytest.param('attributes."iana.org/x" = "1"', True, id="quoted-key"),
        pytest.param('hasPrefix(attributes.ref, "refs/heads/")', True, id="prefix"),
        pytest.param('hasPrefix(attributes.ref, "refs/tags/")', False, id="other-prefix"),
        pytest.param('hasPrefix(attributes.other, "")', False, id="prefix-of-a-missing-key"),
        pytest.param('hasPrefix(attributes.empty, "")', True, id="empty-prefix-of-an-empty-value"),
        pytest.param('NOT attributes.type = "tag"', True, id="not"),
        pytest.param("-attributes:type", False, id="minus-is-not"),
        pytest.param('attributes:type AND attributes.type = "tag"', False, id="and"),
        pytest.param('attributes:other OR attributes.type = "push"', True, id="or"),
        pytest.param("(attributes:other OR attributes:type) AND NOT attributes:x", True, id="parentheses"),
        pytest.param(r'attributes.type = "pu\sh"', True, id="escaped-letter"),
    ],
)
def test_a_filter_passes_what_it_says(text: str, passes: bool) -> None:
    assert filters.parse(text)(ATTRIBUTES) is passes


@pytest.mark.parametrize(
    "text",
    [
        "attributes",
        "attributes.type",
        "attributes.type = push",
        'attributes.type == "push"',
        'data = "push"',
        'attributes.type = "push',
        "attributes:a AND attributes:b OR attributes:c",
        "(attributes:a",
        "attributes:a)",
        "hasPrefix(attributes.a)",
        "NOT",
        "attributes:a AND",
        'attributes.a = "' + "x" * 256 + '"',
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        filters.parse(text)
