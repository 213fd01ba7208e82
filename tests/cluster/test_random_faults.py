"""Minutes of random faults, several at once: no scrape shows what cannot be.

CLUSTER_FAULTS="SECONDS SEED" has them go on for longer, or be others.
"""

import os
import time

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.faults import LONGEST_PAUSE, Faults
from tests.cluster.watch import Watch

pytestmark = [pytest.mark.cluster, pytest.mark.real, pytest.mark.prometheus]

SECONDS, SEED = map(int, os.environ.get("CLUSTER_FAULTS", "130 1").split())


def test_random_faults(cluster: Cluster, watch: Watch) -> None:
    faults = Faults(cluster, SEED)
    scrapes = watch.sampler.scrapes
    faults.go_on(SECONDS)
    print(f"seed {SEED}, {watch.sampler.scrapes - scrapes} scrapes, {faults.refused} refused:")
    print("\n".join(faults.log))
    assert not watch.sampler.wrong, watch.sampler.wrong[:5]
    assert len(faults.log) - faults.refused > SECONDS / LONGEST_PAUSE / 4
    assert watch.sampler.scrapes - scrapes > SECONDS
    cluster.mend()
    watch.agree()
    # Anything may have fired.
    watch.tolerated |= watch.monitoring.fired(time.monotonic() - watch.started)
    watch.healthy()
