"""`python -m dashboards`: write what is made from the descriptions here and from `core.metric_names`.

cloud-monitoring/NAME.json   read by Terraform, one `google_monitoring_dashboard` each
grafana/NAME.json            to be imported
log-metrics.yaml             read by Terraform, one `google_logging_metric` each, and by the local Monitoring
"""

import json
from collections.abc import Mapping
from pathlib import Path

import promql_parser
import yaml

from dashboards import cloud_monitoring, grafana
from dashboards.capacity import CAPACITY
from dashboards.control_plane import CONTROL_PLANE
from dashboards.policies import POLICIES
from dashboards.rollouts import ROLLOUTS
from pointsman.core.metric_names import LOG_METRICS

__all__ = ["DASHBOARDS", "files", "main"]

HERE = Path(__file__).parent
DASHBOARDS = (ROLLOUTS, CAPACITY, CONTROL_PLANE)
ALERT = "# Made by `python -m dashboards` from dashboards/policies.py: do not edit.\n"
HEAD = "# Made by `python -m dashboards` from functions/pointsman/core/metric_names.py: do not edit.\n"


class _Block(str):
    """A text of several lines, written as one reads it."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|"))


def files() -> Mapping[str, str]:
    """Path below `dashboards/` → content."""
    found = {}
    for dashboard in DASHBOARDS:
        for form, made in (("cloud-monitoring", cloud_monitoring.as_json), ("grafana", grafana.as_json)):
            found[f"{form}/{dashboard.name}.json"] = json.dumps(made(dashboard), indent=1) + "\n"
    for policy in POLICIES:
        document = {**policy.as_document(), "query": _Block(promql_parser.parse(policy.query).prettify() + "\n")}
        found[f"alerts/{policy.name}.yaml"] = ALERT + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000)
    metrics = {"metrics": [metric.as_document() for metric in LOG_METRICS]}
    found["log-metrics.yaml"] = HEAD + yaml.safe_dump(metrics, sort_keys=False, width=1000, default_flow_style=None)
    return found


def main() -> None:
    for name, content in files().items():
        path = HERE / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
            print(f"dashboards/{name}")


if __name__ == "__main__":
    main()
