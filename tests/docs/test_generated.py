"""What is made from the models lies in the repository as it would be made now."""

from importlib.metadata import version
from pathlib import Path

import pytest

from pointsman.documents.pod_fields import CLIENT
from pointsman_cli import generate_pod_fields
from pointsman_cli.generate import ROOT, generated


@pytest.mark.parametrize("path", sorted(generated()))
def test_a_generated_file_is_not_stale(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == generated()[path], "run `make schemas`"


def test_every_schema_of_documents_and_records_is_generated() -> None:
    assert {f"schemas/{item.name}" for item in (ROOT / "schemas").glob("*.json")} == {
        path for path in generated() if path.startswith("schemas/")
    }


@pytest.mark.skipif(version("kubernetes") != CLIENT, reason="the table is of another release of the client")
def test_the_table_of_pod_fields_is_the_clients() -> None:
    table = Path(generate_pod_fields.__file__).resolve().parents[2] / "functions/pointsman/documents/pod_fields.py"
    assert table.read_text() == generate_pod_fields.source(), "run `python -m pointsman_cli.generate_pod_fields`"
