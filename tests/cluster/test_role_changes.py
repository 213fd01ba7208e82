"""Role changes and promotions, counted across observations."""

import pytest

from exporter.cluster.model import Bundle, Cluster, Replica, Resource, Role, Snapshot
from exporter.cluster.role_changes import RoleChanges

TRUSTED = Cluster(dc_elected=True, quorate=True)


def snapshot(*roles: Role, bundle: str = "redis-bundle", cluster: Cluster = TRUSTED) -> Snapshot:
    replicas = tuple(
        Replica(str(index), Resource(f"c{index}", "ocf:heartbeat:podman", role, active=True))
        for index, role in enumerate(roles)
    )
    plain = Bundle(bundle, "podman", "", unique=False, managed=True, failed=False,
                   maintenance=False, replicas=replicas)  # fmt: skip
    return Snapshot(cluster, bundles=(plain,))


def counts(history: RoleChanges, bundle: str = "redis-bundle") -> tuple[int, int]:
    return history.of(bundle).role_changes, history.of(bundle).promotions


def after(*snapshots: Snapshot) -> RoleChanges:
    history = RoleChanges()
    for each in snapshots:
        history = history.after(each)
    return history


P, U, S, T = Role.PROMOTED, Role.UNPROMOTED, Role.STOPPED, Role.STARTED


def test_first_observation_counts_no_change() -> None:
    assert counts(after(snapshot(P, U, U))) == (0, 0)
    assert counts(RoleChanges()) == (0, 0)


def test_failover_counts_two_changes_and_one_promotion() -> None:
    assert counts(after(snapshot(P, U, U), snapshot(U, P, U))) == (2, 1)


@pytest.mark.parametrize("between", [Role.PROMOTING, Role.STARTING, Role.UNKNOWN, Role.MIGRATING])
def test_transitional_role_keeps_the_previous_role(between: Role) -> None:
    assert counts(after(snapshot(U), snapshot(between), snapshot(P))) == (1, 1)
    assert counts(after(snapshot(P), snapshot(between), snapshot(P))) == (0, 0)
    assert counts(after(snapshot(between), snapshot(P))) == (0, 0), "first sight"


def test_change_between_any_two_settled_roles_counts() -> None:
    assert counts(after(snapshot(T), snapshot(S), snapshot(T), snapshot(P))) == (3, 1)


@pytest.mark.parametrize(
    "cluster",
    [
        Cluster(dc_elected=True, quorate=False),
        Cluster(dc_elected=False, quorate=None),
        Cluster(dc_elected=True, quorate=None),
        Cluster(),
    ],
)
def test_untrusted_observations_are_not_compared(cluster: Cluster) -> None:
    lost = snapshot(S, S, cluster=cluster)
    assert counts(after(snapshot(P, U), lost, snapshot(P, U))) == (0, 0)
    assert counts(after(snapshot(P, U), Snapshot(cluster), snapshot(U, P))) == (2, 1)


def test_counts_disappear_with_the_bundle_or_replica() -> None:
    gone = after(snapshot(P, U), snapshot(U, P), Snapshot(TRUSTED))
    assert gone.bundles == {}
    scaled = after(snapshot(P, U), snapshot(P), snapshot(P, P))
    assert counts(scaled) == (0, 0), "a replica that comes back is seen for the first time"


def test_each_bundle_has_its_own_counts() -> None:
    one, other = snapshot(U, bundle="a"), snapshot(U, bundle="b")
    both = Snapshot(TRUSTED, bundles=(*one.bundles, *other.bundles))
    moved = Snapshot(TRUSTED, bundles=(*snapshot(P, bundle="a").bundles, *other.bundles))
    history = after(both, moved)
    assert (counts(history, "a"), counts(history, "b")) == ((1, 1), (0, 0))


def test_replica_in_transition_hides_no_change_of_another() -> None:
    seen = after(snapshot(Role.STARTING, U), snapshot(Role.STARTING, P))
    assert counts(seen) == (1, 1)
