"""Minutes of random faults, several at once.

CLUSTER_FAULTS="SECONDS SEED" sets their duration and seed.
"""

import os
import time

import pytest

from tests.live.cluster import Cluster
from tests.live.faults import LONGEST_PAUSE, Faults
from tests.live.watch import Watch

pytestmark = [pytest.mark.cluster, pytest.mark.real, pytest.mark.prometheus]

SECONDS, SEED = map(int, os.environ.get("CLUSTER_FAULTS", "130 1").split())


def test_random_faults_never_show_an_impossible_page(cluster: Cluster, watch: Watch) -> None:
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
