"""Rules that every scrape must satisfy, whatever happens to the cluster."""

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.support.oracle.agreement import Labels

RUNNING = frozenset({"started", "unpromoted", "promoted"})
Page = Mapping[str, Mapping[Labels, float]]
"""Samples of the families of one prefix, by the rest of the name."""


def impossible(found: Page) -> Iterator[str]:
    """Name what is impossible in the families `pacemaker_` of a page."""
    up, trusted, dc = (found[name][()] for name in ("up", "view_trusted", "view_dc"))
    if not up >= trusted >= dc:
        yield f"up {up}, view_trusted {trusted}, view_dc {dc}"
    outcomes = Counter(
        source for (source, _), last in found["exporter_source_last_outcome"].items() if last
    )
    yield from (f"several outcomes of {s}" for s, count in outcomes.items() if count > 1)
    if trusted and not found["cluster_quorate"][()] == found["cluster_dc_elected"][()] == 1:
        yield f"trusted: {found['cluster_quorate']}, {found['cluster_dc_elected']}"
    yield from _of_nodes(found)
    yield from _of_bundles(found)


OF_THE_CIB = frozenset(
    {
        "bundle_promoted_max",
        "bundle_replicas_per_host_limit",
        "bundle_replicas_promoted_expected",
    }
)
"""Families about bundles that are absent until the CIB was read."""


def _of_nodes(found: Page) -> Iterator[str]:
    nodes = {labels[0] for labels in found.get("node_info", {})}
    for family, position in {
        "node_condition": 0,
        "node_resources_running": 0,
        "node_attribute": 0,
        "node_attribute_text": 0,
        "bundle_replica_node": 2,
        "resource_role": 4,
        "resource_condition": 4,
    }.items():
        named = {labels[position] for labels in found.get(family, {})} - {""}
        if not named <= nodes:
            yield f"{family} names {named - nodes}, which no node_info does"
    masters = [s for s, holds in found.get("node_condition", {}).items() if s[2] == "dc" and holds]
    if len(masters) > 1:
        yield f"two DCs: {masters}"


def _of_bundles(found: Page) -> Iterator[str]:
    replicas = found.get("bundle_replicas", {})
    bundles = {labels[0] for labels in replicas}
    # Not pacemaker_bundle_configured: that is what the CIB has, be it in the cluster or not.
    for family, samples in found.items():
        if family.startswith("bundle_") and family != "bundle_configured":
            named = {labels[0] for labels in samples}
            whole = family not in OF_THE_CIB
            if not named <= bundles or (
                whole and family != "bundle_replica_node" and named != bundles
            ):
                yield f"{family} is of {sorted(named)}, bundle_replicas of {sorted(bundles)}"
    roles = {labels[:2]: labels[2] for labels in found.get("bundle_replica_role", {})}
    ready = found.get("bundle_replica_ready", {})
    if roles.keys() != ready.keys():
        yield f"replicas with a role: {sorted(roles)}, with a readiness: {sorted(ready)}"
    in_role = {k: v for k, v in found.get("bundle_replicas_in_role", {}).items() if v}
    counted = Counter((bundle, role) for (bundle, _), role in roles.items())
    if in_role != counted:
        yield f"replicas_in_role is {in_role}, replica_role {counted}"
    for (bundle,), number in replicas.items():
        mine = [replica for replica in roles if replica[0] == bundle]
        if len(mine) != number:
            yield f"{bundle}: {number} replicas, and {len(mine)} are shown"
        running = found["bundle_replicas_running"][bundle,]
        all_ready = found["bundle_replicas_ready"][bundle,]
        promoted = found["bundle_replicas_promoted_ready"][bundle,]
        if not number >= running >= all_ready >= promoted:
            yield (
                f"{bundle}: {number} replicas, {running} running, {all_ready} ready,"
                f" {promoted} of them promoted"
            )
        yield from _of_expectations(found, bundle)
        if all_ready != sum(ready[replica] for replica in mine):
            yield f"{bundle}: {all_ready} ready, of the replicas {ready}"
    yield from _of_replicas(found, roles)


def _of_expectations(found: Page, bundle: str) -> Iterator[str]:
    states = [s[1] for s, holds in found["bundle_state"].items() if s[0] == bundle and holds]
    number, ready, expected = (
        found[family][bundle,]
        for family in ("bundle_replicas", "bundle_replicas_ready", "bundle_replicas_expected")
    )
    if len(states) != 1 or (ready < expected and states[0] not in {"degraded", "down"}):
        yield f"{bundle} is {states}: {ready} of {expected} expected replicas are ready"
    if expected > number:
        yield f"{bundle}: {expected} of {number} replicas are expected"


def _of_replicas(found: Page, roles: Mapping[Labels, str]) -> Iterator[str]:
    """What is ready runs, with all that it needs, on one node that is online and clean."""
    active = found.get("bundle_replica_component_active", {})
    conditions = found.get("node_condition", {})
    for replica, is_ready in found.get("bundle_replica_ready", {}).items():
        if not is_ready:
            continue
        hosts = [s[2] for s in found.get("bundle_replica_node", {}) if s[:2] == replica]
        inactive = [s[2] for s, holds in active.items() if s[:2] == replica and not holds]
        if roles[replica] not in RUNNING or len(hosts) != 1 or inactive:
            yield f"{replica} is ready: {roles[replica]} on {hosts}, inactive: {inactive}"
        for host in hosts:
            state = {s[2] for s, holds in conditions.items() if s[0] == host and holds}
            if "online" not in state or "unclean" in state:
                yield f"{replica} is ready on {host}, which is {sorted(state)}"
