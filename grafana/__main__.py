"""Write the dashboards: python -m grafana [DIRECTORY]. The default is grafana/dashboards."""

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
    """Return a dashboard as JSON with numbered panels."""
    dashboard = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    for number, panel in enumerate(dashboard["panels"], 1):
        panel["id"] = number
        panel["options"].pop("footer", None)  # only old table panels have it, but the SDK writes it
    for variable in dashboard["templating"]["list"]:
        for of_intervals in ("auto", "auto_count", "auto_min"):
            variable.pop(of_intervals, None)
    return json.dumps(dashboard, indent=2, sort_keys=True) + "\n"


def write(directory: Path) -> None:
    """Write each dashboard to NAME.json in the directory."""
    for name, made in DASHBOARDS.items():
        directory.joinpath(f"{name}.json").write_text(text(made), encoding="utf-8")


if __name__ == "__main__":
    write(Path(*sys.argv[1:]) if sys.argv[1:] else Path(__file__).parent / "dashboards")
