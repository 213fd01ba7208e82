"""Write the dashboards: python -m grafana [DIRECTORY], grafana/dashboards if there is none."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import bundle, cluster, exporter, overview

DASHBOARDS: Mapping[str, board.Dashboard] = {
    "overview": overview.build(),
    "bundle": bundle.build(),
    "cluster": cluster.build(),
    "exporter": exporter.build(),
}


def text(made: board.Dashboard) -> str:
    """Return a dashboard as JSON, its panels numbered."""
    dashboard = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    for number, panel in enumerate(dashboard["panels"], 1):
        panel["id"] = number
        panel["options"].pop("footer", None)  # of older tables; the SDK writes it still
    for variable in dashboard["templating"]["list"]:
        for of_intervals in ("auto", "auto_count", "auto_min"):
            variable.pop(of_intervals, None)
    return json.dumps(dashboard, indent=2, sort_keys=True) + "\n"


def write(directory: Path) -> None:
    """Write each dashboard to a file of its name."""
    for name, made in DASHBOARDS.items():
        directory.joinpath(f"{name}.json").write_text(text(made), encoding="utf-8")


if __name__ == "__main__":
    write(Path(*sys.argv[1:]) if sys.argv[1:] else Path(__file__).parent / "dashboards")
