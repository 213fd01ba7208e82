"""Serves an hour of a fleet from a real Prometheus, to look at in Grafana.

.venv/bin/python -m tools.fleet_hour
"""

import tempfile
from pathlib import Path

from tests.support.harness.past import EPOCH, Cluster, Story, prometheus_of

HOUR = 3600
FLEET = (
    Cluster("edge-north", Story(begins=EPOCH - 2700)),
    Cluster("edge-south", Story(lost=EPOCH - 360)),
    Cluster("lab", Story(begins=EPOCH - 1800, answer="live-2.1.5/05-node-standby.xml")),
    Cluster("overcloud-east"),
    Cluster("overcloud-west", Story(begins=EPOCH - 840 - 100, holds=100)),
    Cluster("staging", Story(polls_fail=EPOCH - 1200)),
)
"""Galera in overcloud-west is degraded, edge-south is lost, a node of the lab is on standby."""


def main() -> None:
    """Make the hour and serve it until Enter is pressed."""
    begin = EPOCH - HOUR
    with (
        tempfile.TemporaryDirectory() as made,
        prometheus_of(Path(made), FLEET, begin, EPOCH) as found,
    ):
        print(f"{found.base} has {begin} to {EPOCH}; press Enter to stop")
        input()


if __name__ == "__main__":
    main()
