"""Problems: consistent with states, grouped, with causes and commands that work."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from exporter.cluster.configuration import (
    BundleConfiguration,
    Configuration,
    ConfiguredResource,
    Dependency,
    ResourceKind,
    TicketDependency,
)
from exporter.cluster.location import LocationConstraint, Locations
from exporter.cluster.model import (
    Ban,
    Bundle,
    Cluster,
    FailedAction,
    FencingEvent,
    Instance,
    Node,
    NodeType,
    Replica,
    Resource,
    ResourceHistory,
    Role,
    Snapshot,
    Ticket,
)
from exporter.cluster.observation import Observation, Origin
from exporter.judgement.bundles import BundleState
from exporter.judgement.judge import judge
from exporter.judgement.problem import (
    CLUSTER,
    Kind,
    Problem,
    Severity,
    Subject,
    SubjectType,
    cases,
)
from exporter.judgement.problems import has_failures
from exporter.pacemaker import crm_mon
from tests.judgement.test_replicas import GUEST, HOST, REPLICA, SECOND, SERVICE, STOPPED
from tests.support.harness import see
from tests.support.harness.call_pcs import refused
from tests.support.model.states import STATES
from tests.support.model.strategies import snapshots

GOOD = Cluster(dc_elected=True, quorate=True, fencing_enabled=True, maintenance_mode=False)
LIMITS = BundleConfiguration(promoted_max=1, replicas_per_host=1)
CRITICAL, WARNING, INFO = Severity


def bundle(*replicas: Replica) -> Bundle:
    return Bundle(
        "b",
        "podman",
        "image",
        unique=False,
        managed=True,
        failed=False,
        maintenance=False,
        replicas=replicas or (REPLICA,),
    )


def resource(name: str, kind: ResourceKind = ResourceKind.PRIMITIVE) -> ConfiguredResource:
    return ConfiguredResource(name, kind)


def configured(
    *resources: ConfiguredResource, bundles: Mapping[str, BundleConfiguration] | None = None
) -> Configuration:
    return Configuration(bundles=bundles or {}, resources={r.id: r for r in resources})


def problems(snapshot: Snapshot, configuration: Configuration | None = None) -> tuple[Problem, ...]:
    """What is wrong, with a CIB that was read just now."""
    read = configuration or Configuration()
    return judge(Observation(snapshot, read, configuration_current=True)).problems


def of_state(seen: Observation) -> tuple[Problem, ...]:
    """What is wrong with a named state, but for disabled fencing, which most states have."""
    return tuple(p for p in judge(seen).problems if p.kind is not Kind.FENCING_DISABLED)


def short(found: Iterable[Problem]) -> list[tuple[Kind, Severity, str]]:
    return [(problem.kind, problem.severity, problem.title) for problem in found]


# ---- Named states ----


@pytest.mark.real
def test_healthy_cluster_has_no_problem(observed: Mapping[str, Observation]) -> None:
    for name, seen in observed.items():
        if name.startswith("healthy") or name == "recovered":
            assert of_state(seen) == (), name
    assert judge(observed["healthy-fenced"]).problems == ()


@pytest.mark.real
def test_every_bundle_that_is_down_or_degraded_is_told(
    observed: Mapping[str, Observation],
) -> None:
    for name, seen in observed.items():
        judgement = judge(seen)
        told = {
            subject.name: problem.kind
            for problem in judgement.problems
            for subject in problem.subjects
            if problem.kind in {Kind.BUNDLE_DOWN, Kind.BUNDLE_DEGRADED}
        }
        assert told == {
            judged.id: Kind(f"bundle_{judged.state}")
            for judged in judgement.bundles
            if judged.state in {BundleState.DOWN, BundleState.DEGRADED}
        }, name


@pytest.mark.real
def test_advised_commands_leave_containers_to_pacemaker(
    observed: Mapping[str, Observation],
) -> None:
    commands = {
        command
        for seen in observed.values()
        for problem in judge(seen).problems
        for command in problem.commands
    }
    assert len(commands) > 20
    for command in commands:
        assert re.match(
            r"(pcs (status|resource|node|cluster|stonith|property|constraint|booth)"
            r"|cibadmin --query|corosync-quorumtool -s\b|crm_verify --live-check)",
            command,
        )


def as_text(found: Iterable[Problem]) -> Iterator[str]:
    for case in cases(tuple(found)):
        yield f"{case.severity}: {case.sentence}"
        for problem in (case.root, *case.consequences):
            yield f"  = {problem.kind} {problem.severity} {len(problem.subjects)}"
        yield from (f"  - {text}" for text in case.texts)
        yield from (f"  $ {command}" for command in case.commands)


@pytest.mark.real
def test_problems_of_the_named_states_are_the_expected_ones(
    observed: Mapping[str, Observation], golden: Callable[[str, str], None]
) -> None:
    lines = []
    for name, seen in observed.items():
        lines += [f"## {name}: {STATES[name].says}", *as_text(of_state(seen)), ""]
    golden("problems.txt", "\n".join(lines))


@pytest.mark.parametrize("version", ["2.1.5", "3.0.2"])
def test_resources_locked_to_a_shut_down_node_say_so(version: str) -> None:
    snapshot = crm_mon.parse(see.captured(f"{version}/e22-shutdown-lock.xml"))
    told = [text for problem in problems(snapshot) for text in problem.texts]
    waits = "is stopped and waits for node1, which was shut down (shutdown-lock)"
    assert f"replica 0: container {waits}" in told
    assert waits in told


# ---- Whatever the cluster ----


@settings(deadline=None)
@given(snapshots())
def test_problems_of_any_cluster_are_consistent(snapshot: Snapshot) -> None:
    for configuration in (None, Configuration()):
        judgement = judge(Observation(snapshot, configuration))
        found = judgement.problems
        ranks = [list(Severity).index(problem.severity) for problem in found]
        assert ranks == sorted(ranks)
        for problem in found:
            assert len(set(problem.subjects)) == len(problem.subjects) == len(problem.details)
            assert all(problem.about(subject) for subject in problem.subjects)
            assert not re.search(r"\{(is|has)\}", problem.sentence)
        told = cases(found)
        assert sorted(
            id(problem) for case in told for problem in (case.root, *case.consequences)
        ) == sorted(map(id, found))
        lacking = {
            judged.id
            for judged in judgement.bundles
            if judged.state in {BundleState.DOWN, BundleState.DEGRADED}
        }
        assert lacking == {
            subject.name
            for problem in found
            if problem.kind in {Kind.BUNDLE_DOWN, Kind.BUNDLE_DEGRADED}
            for subject in problem.subjects
        }
        if not snapshot.authoritative:
            assert has_failures(found)


# ---- The cluster itself ----


@pytest.mark.parametrize(
    ("change", "kind", "severity"),
    [
        ({"dc_elected": False}, Kind.NO_DC, CRITICAL),
        ({"quorate": False}, Kind.NO_QUORUM, CRITICAL),
        ({"quorate": None}, Kind.QUORUM_UNKNOWN, CRITICAL),
        ({"dc_elected": None}, Kind.QUORUM_UNKNOWN, CRITICAL),
        ({"stop_all_resources": True}, Kind.STOP_ALL_RESOURCES, CRITICAL),
        ({"maintenance_mode": True}, Kind.MAINTENANCE_MODE, INFO),
        ({"fencing_enabled": False}, Kind.FENCING_DISABLED, WARNING),
        ({"mixed_version": True}, Kind.MIXED_VERSIONS, INFO),
        ({"fencing_enabled": None}, None, None),
    ],
)
def test_problem_of_the_cluster_itself_is_told(
    change: Mapping[str, Any], kind: Kind | None, severity: Severity | None
) -> None:
    found = problems(Snapshot(replace(GOOD, **change)))
    assert [(p.kind, p.severity) for p in found] == ([(kind, severity)] if kind else [])
    for problem in found:
        assert problem.subjects == (CLUSTER,)
        assert problem.about(CLUSTER) == (problem.sentence,)


def test_missing_fencing_history_is_told() -> None:
    (problem,) = problems(Snapshot(GOOD, fencing=None))
    assert (problem.kind, problem.severity) == (Kind.FENCING_HISTORY_UNREAD, WARNING)


def test_maintenance_of_every_node_is_told_once() -> None:
    nodes = tuple(replace(node, maintenance=True) for node in (HOST, SECOND))
    (problem,) = problems(Snapshot(GOOD, nodes))
    assert problem.kind is Kind.MAINTENANCE_MODE
    assert problem.sentence.startswith("every node is in maintenance: ")
    assert problem.commands == ("pcs node unmaintenance --all",)


@pytest.mark.parametrize(
    ("configuration", "origin", "words"),
    [
        (None, Origin.CLUSTER, "the CIB could not be read: "),
        (Configuration(), Origin.CLUSTER, "the CIB could not be read since it changed: "),
        (None, Origin.FILE, ""),
    ],
)
def test_configuration_that_is_not_current_is_told(
    configuration: Configuration | None, origin: Origin, words: str
) -> None:
    found = judge(Observation(Snapshot(GOOD), configuration, origin=origin)).problems
    assert [p.kind for p in found] == ([Kind.CONFIGURATION_NOT_CURRENT] if words else [])
    assert all(p.sentence.startswith(words) and p.severity is WARNING for p in found)


# ---- Nodes ----

REMOTE = Node("r", type=NodeType.REMOTE, online=True)
AGENT = "ocf:pacemaker:remote"
MACHINE = Node("g", type=NodeType.GUEST, online=True, resource="vm")


def nodes_told(*nodes: Node, **parts: tuple[object, ...]) -> list[tuple[Kind, Severity, str]]:
    return short(problems(Snapshot(GOOD, nodes, **parts)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("node", "kinds"),
    [
        (HOST, []),
        (replace(HOST, online=False), [(Kind.NODE_OFFLINE, WARNING)]),
        (replace(HOST, online=False, unclean=True), [(Kind.NODE_UNCLEAN, CRITICAL)]),
        (replace(HOST, online=False, pending=True), [(Kind.NODE_PENDING, WARNING)]),
        (replace(HOST, pending=True, standby=True), [(Kind.NODE_PENDING, WARNING)]),
        (
            replace(HOST, standby=True, maintenance=True),
            [(Kind.NODE_STANDBY, INFO), (Kind.NODE_MAINTENANCE, INFO)],
        ),
        (
            replace(HOST, standby=True, standby_onfail=True),
            [(Kind.NODE_STANDBY_ON_FAIL, WARNING)],
        ),
        (replace(HOST, shutdown=True), [(Kind.NODE_SHUTTING_DOWN, INFO)]),
        (replace(HOST, shutdown=True, online=False), [(Kind.NODE_OFFLINE, WARNING)]),
        (
            replace(HOST, shutdown=True, online=False, unclean=True),
            [(Kind.NODE_UNCLEAN, CRITICAL)],
        ),
        (replace(HOST, health="red"), [(Kind.NODE_UNHEALTHY, WARNING)]),
        (replace(HOST, health="green"), []),
        (replace(REMOTE, online=False), [(Kind.REMOTE_NODE_OFFLINE, WARNING)]),
        (replace(REMOTE, unclean=True), [(Kind.REMOTE_NODE_UNCLEAN, WARNING)]),
        (replace(MACHINE, online=False), [(Kind.REMOTE_NODE_OFFLINE, WARNING)]),
        (replace(MACHINE, standby=True), [(Kind.NODE_STANDBY, INFO)]),
    ],
)
def test_state_of_a_node_is_told(node: Node, kinds: list[tuple[Kind, Severity]]) -> None:
    found = problems(Snapshot(GOOD, (node, SECOND)))
    assert [(p.kind, p.severity) for p in found] == kinds
    assert all(p.subjects == (Subject(SubjectType.NODE, node.name),) for p in found)


def test_guest_nodes_of_bundles_are_told_with_their_replicas_only() -> None:
    off = replace(GUEST, online=False)
    found = problems(Snapshot(GOOD, (HOST, off), (bundle(replace(STOPPED, guest=off)),)))
    assert {subject.type for p in found for subject in p.subjects} == {SubjectType.BUNDLE}


def connection(name: str, **changes: object) -> Resource:
    up = Resource(name, AGENT, Role.STARTED, active=True, nodes=(HOST,))
    return replace(up, **changes)  # type: ignore[arg-type]


def down(name: str, agent: str = "ocf:x:y", **changes: object) -> Resource:
    stopped = Resource(name, agent, Role.STOPPED, active=False)
    return replace(stopped, **changes)  # type: ignore[arg-type]


def test_lost_remote_node_and_its_connection_are_one_subject() -> None:
    names = [f"r{number}" for number in range(100)]
    snapshot = Snapshot(
        GOOD,
        (HOST, *(replace(REMOTE, name=name, online=False) for name in names)),
        instances=tuple(
            Instance(connection(name, role=Role.STOPPED, active=False, failed=True, nodes=()))
            for name in names
        ),
        history=tuple(ResourceHistory(name, "host", 1_000_000, 1_000_000) for name in names),
        failed_actions=tuple(
            FailedAction(name, "host", "monitor", "complete", "1", "no answer") for name in names
        ),
    )
    (problem,) = problems(snapshot)
    assert problem.sentence == "100 remote nodes are offline: r0, r1, r2 and 97 more"
    assert problem.texts == ("each: its connection has failed: no answer",)
    assert problem.commands == ("pcs status --full",)
    (problem,) = problems(replace(snapshot, nodes=snapshot.nodes[:2]))[:1]
    assert problem.commands == ("pcs resource cleanup r0",)


@pytest.mark.parametrize(
    ("lost", "of", "lost_node", "severity"),
    [
        (19, 100, {"online": False}, WARNING),
        (20, 100, {"online": False}, CRITICAL),
        (1, 100, {"unclean": True, "online": False}, WARNING),
        (20, 100, {"unclean": True, "online": False}, CRITICAL),
        (2, 2, {"online": False}, WARNING),
        (3, 15, {"online": False}, CRITICAL),
    ],
)
def test_loss_of_a_fifth_of_the_remote_nodes_is_critical(
    lost: int, of: int, lost_node: dict[str, bool], severity: Severity
) -> None:
    nodes = [replace(REMOTE, name=f"r{number}") for number in range(of)]
    nodes[:lost] = [replace(node, **lost_node) for node in nodes[:lost]]  # type: ignore[arg-type]
    (problem,) = problems(Snapshot(GOOD, (HOST, *nodes)))
    assert (problem.severity, len(problem.subjects)) == (severity, lost)


def test_failed_connection_of_a_node_that_is_online_is_told() -> None:
    failed = (Instance(connection("r", failed=True)),)
    assert nodes_told(HOST, REMOTE, instances=failed) == [
        (Kind.RESOURCE_DOWN, WARNING, "resource r")
    ]


def test_disabled_remote_node_is_told_with_the_command_that_works() -> None:
    stopped = (Instance(down("r", AGENT, target_role="Stopped")),)
    snapshot = Snapshot(GOOD, (HOST, replace(REMOTE, online=False)), instances=stopped)
    (problem,) = problems(snapshot)
    assert (problem.kind, problem.severity) == (Kind.REMOTE_NODE_DISABLED, INFO)
    assert problem.commands == ("pcs resource enable r",)


def test_disabled_machine_of_a_guest_node_is_told_with_the_node() -> None:
    stopped = (Instance(down("vm", target_role="Stopped")), Instance(down("g", AGENT)))
    snapshot = Snapshot(GOOD, (HOST, replace(MACHINE, online=False)), instances=stopped)
    (problem,) = problems(snapshot)
    assert problem.sentence == "guest node g is disabled"
    assert problem.texts == ("its virtual machine is vm",)
    assert problem.commands == ("pcs resource enable vm",)


def test_lost_guest_node_tells_what_its_machine_does() -> None:
    stopped = (Instance(down("vm", failed=True)), Instance(down("g", AGENT)))
    snapshot = Snapshot(GOOD, (HOST, replace(MACHINE, online=False)), instances=stopped)
    (problem,) = problems(snapshot)
    assert problem.sentence == "guest node g is offline"
    assert problem.texts == ("its virtual machine vm has failed",)
    assert problem.commands == ("pcs resource cleanup vm",)


# ---- Fencing ----

FAILED = FencingEvent("b", "reboot", "failed", 100.0, reason="No route to IPMI")


def fencing(*events: FencingEvent, nodes: tuple[Node, ...] = ()) -> list[tuple[str, ...]]:
    found = problems(Snapshot(GOOD, nodes, fencing=events))
    return [(problem.sentence, *problem.texts) for problem in found]


def test_failed_fencing_is_told_until_a_later_success() -> None:
    told = ("fencing of b failed", "No route to IPMI")
    assert fencing(FAILED) == [told]
    worked = FencingEvent("b", "reboot", "success", 100.0)
    assert fencing(replace(FAILED, completed=99.0), worked) == []
    assert fencing(replace(FAILED, completed=101.0), worked) == [told]
    assert fencing(FAILED, worked) == [told], "which came first is not known"
    assert fencing(worked, FAILED) == [told]
    assert fencing(FAILED, replace(worked, target="c")) == [told]


def test_pending_fencing_is_told() -> None:
    assert fencing(FencingEvent("b", "reboot", "pending")) == [("fencing of b is in progress",)]
    assert fencing(FencingEvent("b", "on", "pending")) == [("unfencing of b is in progress",)]


def test_reason_is_that_of_the_last_failure() -> None:
    later = replace(FAILED, completed=200.0, reason="timed out")
    for events in ((FAILED, later), (later, FAILED)):
        assert fencing(*events) == [("fencing of b failed", "timed out")]


def test_names_of_fenced_nodes_are_compared_without_case() -> None:
    worked = FencingEvent("B", "off", "success", 200.0)
    assert fencing(FAILED, worked) == []
    assert fencing(FAILED, replace(worked, completed=50.0)) != []


def test_failed_unfencing_is_told_as_unfencing() -> None:
    failed = replace(FAILED, action="on", reason="")
    assert fencing(failed) == [("unfencing of b failed",)]
    assert fencing(FAILED, replace(failed, status="success", completed=101.0)) != []


def test_unknown_status_of_fencing_is_told() -> None:
    odd = replace(FAILED, status="odd", reason="")
    text = "the last attempt ended with the unknown status 'odd'"
    assert fencing(odd) == [("fencing of b failed", text)]


@pytest.mark.parametrize(
    ("node", "severity"),
    [
        (Node("b", type=NodeType.MEMBER, online=True), WARNING),
        (Node("B", type=NodeType.MEMBER, online=True), WARNING),
        (Node("b", type=NodeType.MEMBER, online=True, unclean=True), CRITICAL),
        (Node("b", type=NodeType.MEMBER), CRITICAL),
        (Node("c", type=NodeType.MEMBER, online=True), CRITICAL),
    ],
)
def test_failed_fencing_of_a_healthy_node_is_no_emergency(node: Node, severity: Severity) -> None:
    found = problems(Snapshot(GOOD, (node,), fencing=(FAILED,)))
    assert [p.severity for p in found if p.kind is Kind.FENCING_FAILED] == [severity]


def test_fencing_of_an_unclean_node_is_told_with_the_node() -> None:
    unclean = Node("b", type=NodeType.MEMBER, unclean=True)
    events = (FAILED, FencingEvent("b", "reboot", "pending"))
    (case,) = cases(problems(Snapshot(GOOD, (unclean,), fencing=events)))
    assert case.sentence == "node b is unclean"
    assert case.texts[1:] == (
        "fencing of b failed: No route to IPMI",
        "fencing of b is in progress",
    )
    assert case.commands == ("pcs stonith history show b", "pcs status --full")


# ---- Bundles ----


def test_bundle_is_compared_with_its_configuration() -> None:
    two = (bundle(REPLICA, replace(REPLICA, index="1")),)
    snapshot = Snapshot(GOOD, (HOST, SECOND, GUEST), two)
    assert problems(snapshot, configured(bundles={"b": BundleConfiguration(3, 2)})) == ()
    found = problems(snapshot, configured(bundles={"b": LIMITS}))
    assert [(p.kind, p.severity, p.texts) for p in found] == [
        (Kind.TOO_MANY_PROMOTED, CRITICAL, ("2 replicas are promoted, promoted-max is 1",)),
        (Kind.BUNDLE_CROWDED, WARNING, ("2 replicas run on host, replicas-per-host is 1",)),
    ]


def test_bundle_that_crm_mon_does_not_list_is_told() -> None:
    configuration = configured(bundles={"gone": LIMITS})
    found = problems(Snapshot(GOOD), configuration)
    assert short(found) == [(Kind.BUNDLE_IGNORED, CRITICAL, "gone")]
    # A CIB that was read before may have a bundle that was removed since.
    old = judge(Observation(Snapshot(GOOD), configuration))
    assert Kind.BUNDLE_IGNORED not in {problem.kind for problem in old.problems}


def test_disabled_bundle_has_no_other_reason_for_being_stopped() -> None:
    assert STOPPED.primitive is not None
    asked = replace(STOPPED, primitive=replace(STOPPED.primitive, target_role="stopped"))
    (problem,) = problems(Snapshot(GOOD, (HOST,), (bundle(asked),)))
    assert (problem.kind, problem.severity, problem.texts) == (Kind.BUNDLE_DISABLED, INFO, ())
    assert problem.commands == ("pcs resource enable b",)


def test_disabled_bundle_tells_what_still_runs() -> None:
    assert REPLICA.primitive is not None
    asked = replace(REPLICA, primitive=replace(SERVICE, target_role="Stopped"))
    (problem,) = problems(Snapshot(GOOD, (HOST,), (bundle(asked),)))
    assert problem.texts == ("1 of 1 replica is still ready",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"managed": False}, "it is unmanaged: Pacemaker does not recover it"),
        ({"maintenance": True}, "it is in maintenance: Pacemaker does not recover it"),
    ],
)
def test_bundle_that_somebody_works_on_is_no_emergency(
    changes: Mapping[str, Any], words: str
) -> None:
    broken = replace(bundle(STOPPED), **changes)
    first = problems(Snapshot(GOOD, (HOST,), (broken,)))[0]
    assert (first.kind, first.severity) == (Kind.BUNDLE_DOWN, WARNING)
    assert words in first.texts
    snapshot = Snapshot(replace(GOOD, maintenance_mode=True), (HOST,), (bundle(STOPPED),))
    first, second = problems(snapshot)
    assert (first.kind, first.severity) == (Kind.BUNDLE_DOWN, WARNING)
    assert second.kind is Kind.MAINTENANCE_MODE


def test_unmanaged_primitive_is_managed_by_its_own_id() -> None:
    unmanaged = replace(REPLICA, primitive=replace(SERVICE, managed=False))
    (problem,) = problems(Snapshot(GOOD, (HOST,), (bundle(unmanaged),)))
    assert (problem.kind, problem.severity) == (Kind.BUNDLE_UNMANAGED, INFO)
    assert problem.commands == ("pcs resource manage s",)


@pytest.mark.parametrize(
    ("changes", "maintained", "commands"),
    [
        ({"maintenance": True}, None, ("pcs resource bundle update b meta maintenance=",)),
        # Before Pacemaker 2.1.6 crm_mon shows it only as unmanaged.
        ({"managed": False}, "b", ("pcs resource bundle update b meta maintenance=",)),
        ({}, "s", ("pcs resource meta s maintenance=",)),
    ],
)
def test_maintenance_by_a_meta_attribute_is_ended_by_removing_it(
    changes: Mapping[str, Any], maintained: str | None, commands: tuple[str, ...]
) -> None:
    configuration = configured(
        replace(resource("b", ResourceKind.BUNDLE), maintenance=maintained == "b"),
        replace(resource("s"), parent="b", maintenance=maintained in {"b", "s"}),
    )
    snapshot = Snapshot(GOOD, (HOST,), (replace(bundle(), **changes),))
    (problem,) = problems(snapshot, configuration)
    assert (problem.kind, problem.severity) == (Kind.BUNDLE_MAINTENANCE, INFO)
    assert problem.commands == commands


@pytest.mark.parametrize(
    ("replica", "kind", "severity"),
    [
        (
            replace(STOPPED, container=replace(STOPPED.container, blocked=True)),
            Kind.REPLICA_BLOCKED,
            CRITICAL,
        ),
        (
            replace(STOPPED, container=replace(STOPPED.container, failed=True)),
            Kind.REPLICA_FAILED,
            WARNING,
        ),
        (
            replace(STOPPED, container=replace(STOPPED.container, orphaned=True)),
            Kind.REPLICA_ORPHANED,
            WARNING,
        ),
        (STOPPED, None, None),
    ],
)
def test_failure_of_a_replica_that_is_not_missing_is_told(
    replica: Replica, kind: Kind | None, severity: Severity | None
) -> None:
    spare = replace(replica, index="1")
    found = problems(Snapshot(GOOD, (HOST,), (bundle(REPLICA, spare),)))
    reduced = (Kind.BUNDLE_REDUCED, INFO)
    assert [(p.kind, p.severity) for p in found] == [
        *([(kind, severity)] if kind else []),
        reduced,
    ]


def test_bundle_that_is_only_marked_failed_is_told() -> None:
    (problem,) = problems(Snapshot(GOOD, (HOST,), (replace(bundle(), failed=True),)))
    assert (problem.kind, problem.severity) == (Kind.BUNDLE_MARKED_FAILED, WARNING)


@pytest.mark.parametrize(
    ("demoted", "command"),
    [
        ("b", "pcs resource bundle update b meta target-role="),
        ("s", "pcs resource meta s target-role="),
    ],
)
def test_demoted_bundle_is_told(demoted: str, command: str) -> None:
    service = replace(SERVICE, role=Role.UNPROMOTED, target_role="Slave")
    asked = bundle(replace(REPLICA, primitive=service))
    configuration = configured(
        replace(resource("b", ResourceKind.BUNDLE), target_role="slave" if demoted == "b" else ""),
        replace(resource("s"), parent="b", target_role="slave"),
        bundles={"b": LIMITS},
    )
    (problem,) = problems(Snapshot(GOOD, (HOST,), (asked,)), configuration)
    assert (problem.kind, problem.severity) == (Kind.BUNDLE_DEMOTED, INFO)
    assert problem.commands == (command,)


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        (replace(SECOND, online=False), Kind.NODE_OFFLINE),
        (replace(SECOND, online=False, unclean=True), Kind.NODE_UNCLEAN),
        (replace(SECOND, pending=True, standby=True), Kind.NODE_PENDING),
        (replace(SECOND, standby_onfail=True, standby=True), Kind.NODE_STANDBY_ON_FAIL),
    ],
)
def test_stopped_replica_is_told_with_the_node_that_cannot_host_it(node: Node, kind: Kind) -> None:
    found = problems(Snapshot(GOOD, (HOST, node), (bundle(REPLICA, replace(STOPPED, index="1")),)))
    degraded = next(p for p in found if p.kind is Kind.BUNDLE_DEGRADED)
    assert degraded.severity is CRITICAL
    assert degraded.cause is not None
    assert degraded.cause.kind is kind
    assert len(cases(found)) == 1


@pytest.mark.parametrize(
    "spare",
    [
        replace(STOPPED, index="1"),
        replace(REPLICA, index="1", primitive=replace(SERVICE, failed=True)),
    ],
)
def test_replica_that_another_node_could_host_has_no_cause(spare: Replica) -> None:
    third = Node("third", type=NodeType.MEMBER)
    found = problems(Snapshot(GOOD, (HOST, SECOND, third), (bundle(REPLICA, spare, STOPPED),)))
    (degraded,) = (p for p in found if p.kind is Kind.BUNDLE_DEGRADED)
    assert degraded.cause is None


# ---- Causes ----

VIP = "ocf:heartbeat:IPaddr2"
ADDRESS = Resource("ip", VIP, Role.STARTED, active=True, nodes=(HOST,))


def after(dependent: str, on: str) -> Dependency:
    return Dependency(f"{dependent}-after-{on}", dependent, (on,))


def test_disabled_resource_is_told_with_those_held_back_by_it() -> None:
    assert STOPPED.primitive is not None
    asked = bundle(replace(STOPPED, primitive=replace(STOPPED.primitive, target_role="Stopped")))
    addresses = tuple(Instance(down(f"ip-{number}", VIP)) for number in range(6))
    configuration = replace(
        configured(
            replace(resource("b", ResourceKind.BUNDLE), target_role="stopped", children=("s",)),
            replace(resource("s"), parent="b", target_role="stopped"),
            *(resource(f"ip-{number}") for number in range(6)),
        ),
        dependencies=tuple(after(f"ip-{number}", "b") for number in range(6)),
    )
    found = problems(Snapshot(GOOD, (HOST,), (asked,), addresses), configuration)
    (case,) = cases(found)
    assert case.sentence == "b is disabled (target-role is Stopped)"
    assert case.texts == (
        "6 addresses are held back by b, which is disabled: ip-0, ip-1, ip-2, ip-3, ip-4 and ip-5",
    )
    assert not has_failures(found)


@pytest.mark.parametrize(
    ("ticket", "sentence"),
    [
        (Ticket("t", granted=False, standby=False), "ticket t is not granted to this site"),
        (Ticket("t", granted=True, standby=True), "ticket t is in standby at this site"),
    ],
)
def test_ticket_is_told_with_what_it_holds_back(ticket: Ticket, sentence: str) -> None:
    configuration = replace(
        configured(resource("ip"), replace(resource("b", ResourceKind.BUNDLE), children=("s",))),
        ticket_dependencies=(TicketDependency("1", "ip", "t"), TicketDependency("2", "b", "t")),
    )
    snapshot = Snapshot(
        GOOD, (HOST,), (bundle(STOPPED),), (Instance(down("ip", VIP)),), tickets=(ticket,)
    )
    found = problems(snapshot, configuration)
    (case,) = cases(found)
    assert case.sentence == sentence
    assert [text.partition(" is held back by ticket t")[0] for text in case.texts] == [
        "b",
        "address ip",
    ]
    assert "pcs constraint ticket config --full" in case.commands
    assert not has_failures(found)


def test_ticket_that_nothing_needs_is_not_told() -> None:
    tickets = (Ticket("t", granted=False, standby=False),)
    assert problems(Snapshot(GOOD, tickets=tickets)) == ()
    unread = Observation(Snapshot(GOOD, tickets=tickets), origin=Origin.FILE)
    assert [p.kind for p in judge(unread).problems] == [Kind.TICKET_NOT_GRANTED]


def test_stop_all_resources_is_told_with_what_it_stops() -> None:
    stopped = (Instance(down("ip", VIP)), Instance(down("r")))
    cluster = replace(GOOD, stop_all_resources=True)
    (case,) = cases(problems(Snapshot(cluster, (HOST,), (bundle(STOPPED),), stopped)))
    assert case.severity is CRITICAL
    assert [text.partition(" is held back")[0] for text in case.texts] == [
        "b",
        "address ip",
        "resource r",
    ]


def test_stopped_address_is_told_with_the_failed_bundle_that_it_needs() -> None:
    failed = replace(REPLICA, primitive=replace(SERVICE, failed=True))
    configuration = replace(
        configured(resource("ip"), resource("b", ResourceKind.BUNDLE)),
        dependencies=(after("ip", "b"),),
    )
    instances = (Instance(down("ip", VIP)),)
    found = problems(Snapshot(GOOD, (HOST,), (bundle(failed),), instances), configuration)
    assert short(found) == [
        (Kind.BUNDLE_DOWN, CRITICAL, "b"),
        (Kind.ADDRESS_DOWN, CRITICAL, "address ip"),
    ]
    (case,) = cases(found)
    assert case.sentence == "b is down"
    assert case.texts[-1] == "address ip is down: is stopped"


def test_later_members_of_a_group_are_told_with_the_first_that_is_down() -> None:
    members = (
        Instance(Resource("a", "ocf:x:y", Role.STARTED, active=True, nodes=(HOST,)), "g"),
        Instance(Resource("b", "ocf:x:y", Role.STARTED, active=True, failed=True), "g"),
        Instance(down("c"), "g"),
        Instance(down("d"), "g"),
    )
    (case,) = cases(problems(Snapshot(GOOD, (HOST,), instances=members)))
    assert case.sentence == "resource b is down"
    assert case.texts == ("has failed", "2 resources are down: c and d", "each: is stopped")


def test_disabled_group_is_told_as_one() -> None:
    members = tuple(Instance(down(name, target_role="Stopped"), "g") for name in ("a", "b"))
    (problem,) = problems(Snapshot(GOOD, (HOST,), instances=members))
    assert problem.sentence == "group g is disabled (target-role is Stopped)"
    assert problem.commands == ("pcs resource enable g",)


# ---- Resources outside bundles ----

FENCE = Resource("fence", "stonith:fence_x", Role.STARTED, active=True, nodes=(HOST,))
PLAIN = replace(FENCE, id="r", agent="ocf:x:y")
BLOCKED = "is blocked on host (a stop failed?)"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (FENCE, []),
        (
            replace(FENCE, failed=True),
            [
                (
                    Kind.RESOURCE_DOWN,
                    WARNING,
                    ("has failed on host",),
                    ("pcs resource failcount show fence", "pcs stonith cleanup fence"),
                )
            ],
        ),
        (
            down("fence", "stonith:fence_x", target_role="Stopped"),
            [(Kind.RESOURCE_DISABLED, INFO, (), ("pcs stonith enable fence",))],
        ),
        (
            down("fence", "stonith:fence_x"),
            [(Kind.RESOURCE_DOWN, WARNING, ("is stopped",), ("pcs status --full",))],
        ),
        (
            replace(FENCE, managed=False, nodes=(HOST, SECOND)),
            [
                (
                    Kind.RESOURCE_ON_SEVERAL_NODES,
                    CRITICAL,
                    ("on host and other",),
                    ("pcs status --full",),
                ),
                (Kind.RESOURCE_UNMANAGED, INFO, (), ("pcs resource manage fence",)),
            ],
        ),
        (
            replace(PLAIN, orphaned=True, blocked=True),
            [
                (
                    Kind.RESOURCE_BLOCKED,
                    CRITICAL,
                    (f"{BLOCKED}; make sure that it is stopped before a cleanup",),
                    ("pcs resource failcount show r", "pcs resource cleanup r"),
                ),
                (Kind.RESOURCE_ORPHANED, WARNING, ("on host",), ("pcs status --full",)),
            ],
        ),
        (
            replace(PLAIN, failed=True, target_role="Stopped"),
            [
                (
                    Kind.RESOURCE_FAILED,
                    WARNING,
                    ("has failed on host",),
                    ("pcs resource failcount show r", "pcs resource cleanup r"),
                ),
                (Kind.RESOURCE_DISABLED, INFO, (), ("pcs resource enable r",)),
            ],
        ),
        (
            replace(PLAIN, role=Role.STARTING, active=False, nodes=()),
            [(Kind.RESOURCE_DOWN, WARNING, ("is starting",), ())],
        ),
        (
            replace(ADDRESS, role=Role.STARTING, active=False, nodes=()),
            [(Kind.ADDRESS_DOWN, WARNING, ("is starting",), ())],
        ),
        (
            down("ip", "ocf:heartbeat:azure-lb"),
            [(Kind.ADDRESS_DOWN, CRITICAL, ("is stopped",), ("pcs status --full",))],
        ),
        (
            down("ip", VIP, managed=False),
            [
                (
                    Kind.ADDRESS_DOWN,
                    WARNING,
                    ("is stopped", "it is unmanaged: Pacemaker does not recover it"),
                    ("pcs status --full",),
                ),
                (Kind.RESOURCE_UNMANAGED, INFO, (), ("pcs resource manage ip",)),
            ],
        ),
        (
            replace(ADDRESS, managed=False, maintenance=True),
            [(Kind.RESOURCE_MAINTENANCE, INFO, (), ("pcs resource meta ip maintenance=",))],
        ),
        (replace(PLAIN, failed=True, failure_ignored=True), []),
    ],
)
def test_state_of_a_resource_is_told(
    found: Resource, expected: list[tuple[Kind, Severity, tuple[str, ...], tuple[str, ...]]]
) -> None:
    told = problems(Snapshot(GOOD, (HOST, SECOND), instances=(Instance(found),)))
    assert [(p.kind, p.severity, p.texts, p.commands) for p in told] == expected


@pytest.mark.parametrize(
    ("node", "cause"),
    [
        (replace(HOST, unclean=True), Kind.NODE_UNCLEAN),
        (replace(HOST, online=False), Kind.NODE_OFFLINE),
    ],
)
def test_resource_on_a_lost_node_is_told_with_the_node(node: Node, cause: Kind) -> None:
    instances = (Instance(replace(ADDRESS, failed=True, nodes=(node,))),)
    found = problems(Snapshot(GOOD, (node,), instances=instances))
    (case,) = cases(found)
    assert case.root.kind is cause
    assert [p.kind for p in case.consequences] == [Kind.ADDRESS_DOWN]
    state = "unclean" if node.unclean else "offline"
    assert case.texts[-1] == f"address ip is down: runs on host, which is {state}"


def test_stopped_resource_is_told_with_the_lost_nodes_that_could_run_it() -> None:
    lost = replace(SECOND, online=False)
    instances = (Instance(down("ip", VIP)),)
    (case,) = cases(problems(Snapshot(GOOD, (lost,), instances=instances)))
    assert case.sentence == "node other is offline"
    assert case.texts == ("address ip is down: is stopped",)
    found = problems(Snapshot(GOOD, (HOST, lost), instances=instances))
    assert all(problem.cause is None for problem in found), "it could run on the other"


def test_failed_resource_is_told_with_the_reason() -> None:
    snapshot = Snapshot(
        GOOD,
        (HOST,),
        instances=(Instance(replace(PLAIN, failed=True)),),
        failed_actions=(FailedAction("r", "host", "monitor", "complete", "1", "no such file"),),
        history=(ResourceHistory("r", "host", 1_000_000, 1_000_000),),
    )
    (problem,) = problems(snapshot)
    assert problem.texts == (
        "has failed on host: no such file",
        "is kept off host until a cleanup: fail-count INFINITY",
    )


def test_stopped_resources_without_a_reason_are_one_problem() -> None:
    instances = tuple(Instance(down(f"ip-{number}", VIP)) for number in range(6))
    (problem,) = problems(Snapshot(GOOD, (HOST,), instances=instances))
    assert problem.sentence.startswith("6 addresses are down: ip-0, ")


def test_resource_without_a_node_in_service_is_told_as_on_purpose() -> None:
    away = replace(HOST, standby=True)
    found = problems(Snapshot(GOOD, (away,), instances=(Instance(down("ip", VIP)),)))
    assert short(found) == [
        (Kind.RESOURCE_WITHOUT_NODE, INFO, "address ip"),
        (Kind.NODE_STANDBY, INFO, "node host"),
    ]


def test_unmanaged_resource_on_a_node_in_maintenance_is_told_with_the_node() -> None:
    kept = replace(HOST, maintenance=True)
    instances = (Instance(replace(PLAIN, managed=False, maintenance=True, nodes=(kept,))),)
    found = problems(Snapshot(GOOD, (kept, SECOND), instances=instances))
    assert short(found) == [(Kind.NODE_MAINTENANCE, INFO, "node host")]


def test_maintenance_of_a_group_is_ended_at_the_group() -> None:
    configuration = configured(
        replace(resource("g", ResourceKind.GROUP), maintenance=True, children=("ip",)),
        replace(resource("ip"), parent="g", maintenance=True),
    )
    instances = (Instance(replace(ADDRESS, managed=False), "g"),)
    (problem,) = problems(Snapshot(GOOD, (HOST,), instances=instances), configuration)
    assert problem.commands == ("pcs resource meta g maintenance=",)


# ---- Clones ----


def clone(*resources: Resource) -> tuple[Instance, ...]:
    return tuple(Instance(found, clone="c") for found in resources)


STOPPED_MEMBER = down("r")


def test_clone_that_runs_everywhere_has_no_problem() -> None:
    members = clone(PLAIN, replace(PLAIN, nodes=(SECOND,)), STOPPED_MEMBER)
    assert problems(Snapshot(GOOD, (HOST, SECOND), instances=members)) == ()


def test_clone_that_lacks_an_instance_is_told() -> None:
    snapshot = Snapshot(GOOD, (HOST, SECOND), instances=clone(PLAIN, STOPPED_MEMBER))
    (problem,) = problems(snapshot)
    assert (problem.kind, problem.severity) == (Kind.CLONE_INCOMPLETE, WARNING)
    assert problem.texts == ("does not run on other",)
    lost = replace(snapshot, nodes=(HOST, replace(SECOND, online=False)))
    assert [p.kind for p in problems(lost)] == [Kind.NODE_OFFLINE]


def test_where_a_clone_may_run_is_unknown_without_the_cib() -> None:
    snapshot = Snapshot(GOOD, (HOST, SECOND), instances=clone(PLAIN, STOPPED_MEMBER))
    assert judge(Observation(snapshot, origin=Origin.FILE)).problems == ()
    nowhere = replace(snapshot, instances=clone(STOPPED_MEMBER, STOPPED_MEMBER))
    (problem,) = judge(Observation(nowhere, origin=Origin.FILE)).problems
    assert problem.texts == ("does not run on any node",)


def test_failed_and_blocked_instances_of_a_clone_are_told() -> None:
    members = clone(replace(PLAIN, failed=True), replace(PLAIN, nodes=(SECOND,), blocked=True))
    found = problems(Snapshot(GOOD, (HOST, SECOND), instances=members))
    assert short(found) == [
        (Kind.RESOURCE_BLOCKED, CRITICAL, "clone c"),
        (Kind.CLONE_INCOMPLETE, WARNING, "clone c"),
    ]
    assert found[1].texts[0] == "has failed on host"


@pytest.mark.parametrize(
    ("changes", "kind", "command"),
    [
        ({"target_role": "Stopped"}, Kind.RESOURCE_DISABLED, "pcs resource enable c"),
        ({"managed": False}, Kind.RESOURCE_UNMANAGED, "pcs resource manage c"),
        (
            {"managed": False, "maintenance": True},
            Kind.RESOURCE_MAINTENANCE,
            "pcs resource meta c maintenance=",
        ),
    ],
)
def test_condition_of_a_clone_is_told_once(
    changes: Mapping[str, object], kind: Kind, command: str
) -> None:
    members = clone(
        *(replace(PLAIN, nodes=(node,), **changes) for node in (HOST, SECOND))  # type: ignore[arg-type]
    )
    (problem,) = problems(Snapshot(GOOD, (HOST, SECOND), instances=members))
    assert (problem.kind, problem.severity, problem.title) == (kind, INFO, "clone c")
    assert problem.commands == (command,)


# ---- Fail-counts, results of agents, constraints ----


def test_fail_counts_at_and_near_their_limit_are_told() -> None:
    history = (
        ResourceHistory("s", "b-0", 3, 3),
        ResourceHistory("vip", "host", 1_000_000, 1_000_000),
        ResourceHistory("vip", "other", 2, 3),
        ResourceHistory("gone", "other", 2, None),
        ResourceHistory("fresh", "other", 0, 1),
        ResourceHistory("calm", "other", 1, 3),
    )
    found = problems(Snapshot(GOOD, (HOST,), (bundle(),), history=history))
    assert [(p.kind, p.severity, p.title, p.texts, p.commands) for p in found] == [
        (
            Kind.FAIL_COUNT_AT_THRESHOLD,
            WARNING,
            "b",
            ("s is kept off b-0 until a cleanup: fail-count 3",),
            ("pcs resource cleanup b",),
        ),
        (
            Kind.FAIL_COUNT_AT_THRESHOLD,
            WARNING,
            "resource vip",
            ("is kept off host until a cleanup: fail-count INFINITY",),
            ("pcs resource cleanup vip",),
        ),
        (
            Kind.FAIL_COUNT_NEAR_THRESHOLD,
            WARNING,
            "resource vip",
            ("vip had 2 of 3 failures on other",),
            ("pcs resource failcount show vip",),
        ),
    ]


@pytest.mark.parametrize(("rc", "told"), [("190", True), ("191", True), ("1", False)])
def test_degraded_result_of_an_agent_is_told(rc: str, told: bool) -> None:
    actions = (
        FailedAction("s", "b-0", "monitor", "complete", rc, "replication lags"),
        FailedAction("ip", "host", "monitor", "complete", rc),
    )
    snapshot = Snapshot(GOOD, (HOST,), (bundle(),), (Instance(ADDRESS),), failed_actions=actions)
    found = problems(snapshot)
    assert [(p.kind, p.severity, p.title, p.texts) for p in found] == (
        [
            (Kind.AGENT_DEGRADED, WARNING, "b", ("s on b-0: replication lags",)),
            (Kind.AGENT_DEGRADED, WARNING, "address ip", (f"ip on host: monitor returned {rc}",)),
        ]
        if told
        else []
    )


def test_left_over_constraints_are_told_and_configured_ones_are_not() -> None:
    left_over = replace(
        configured(resource("b", ResourceKind.BUNDLE), resource("r")),
        locations=Locations(
            (
                LocationConstraint("cli-ban-b-on-host", ("b",), node="host", score=-1_000_000),
                LocationConstraint("location-1", ("b",), node="host", score=-1_000_000),
            )
        ),
        preferences=(Ban("cli-prefer-r", "r", "", 1_000_000),),
    )
    found = problems(Snapshot(GOOD, (HOST,), (bundle(),), (Instance(PLAIN),)), left_over)
    assert [(p.kind, p.severity, p.title, p.texts, p.commands) for p in found] == [
        (
            Kind.LEFT_OVER_CONSTRAINT,
            WARNING,
            "b",
            ("cli-ban-b-on-host keeps it off host",),
            ("pcs resource clear b",),
        ),
        (
            Kind.LEFT_OVER_CONSTRAINT,
            WARNING,
            "resource r",
            ("cli-prefer-r prefers a node",),
            ("pcs resource clear r",),
        ),
    ]


def test_names_in_commands_are_quoted_for_a_shell() -> None:
    odd = replace(bundle(), id="b; reboot", managed=False)
    (problem,) = problems(Snapshot(GOOD, (HOST,), (odd,)))
    assert problem.commands == ("pcs resource manage 'b; reboot'",)


# ---- The commands work ----


@pytest.mark.pcs
def test_pcs_accepts_the_advised_commands(observed: Mapping[str, Observation]) -> None:
    fence = replace(FENCE, id="fence-controller-0")
    ip = replace(ADDRESS, id="ip-192.0.2.10")
    galera = replace(SERVICE, id="galera")
    of_galera = replace(bundle(replace(REPLICA, primitive=galera)), id="galera-bundle")
    made = [
        *(
            Snapshot(GOOD, (HOST,), instances=(Instance(found),))
            for found in (
                replace(fence, managed=False),
                replace(fence, failed=True),
                replace(fence, role=Role.STOPPED, active=False, target_role="Stopped"),
                replace(ip, managed=False),
                replace(ip, managed=False, maintenance=True),
                replace(ip, role=Role.STOPPED, active=False, target_role="Stopped"),
            )
        ),
        *(
            Snapshot(GOOD, (HOST,), (found,))
            for found in (
                replace(of_galera, maintenance=True),
                replace(of_galera, managed=False),
                replace(
                    of_galera,
                    replicas=(replace(REPLICA, primitive=replace(galera, managed=False)),),
                ),
            )
        ),
        Snapshot(GOOD, (replace(HOST, name="controller-0", maintenance=True), SECOND)),
        Snapshot(GOOD, (replace(HOST, maintenance=True),)),
    ]
    found = [(name, judge(seen).problems) for name, seen in observed.items()]
    found += [("healthy-fenced", problems(snapshot)) for snapshot in made]
    needs_ticket = replace(
        configured(), ticket_dependencies=(TicketDependency("1", "galera-bundle", "t"),)
    )
    ticket = Snapshot(GOOD, tickets=(Ticket("t", granted=False, standby=False),))
    in_maintenance = configured(
        replace(resource("galera"), parent="galera-bundle", maintenance=True)
    )
    left_over = replace(
        configured(), preferences=(Ban("cli-prefer-x", "galera-bundle", "", 1_000_000),)
    )
    found += [
        ("healthy-fenced", problems(ticket, needs_ticket)),
        ("healthy-fenced", problems(Snapshot(GOOD, (HOST,)), left_over)),
        ("healthy-fenced", problems(Snapshot(GOOD, (HOST,), (of_galera,)), in_maintenance)),
    ]
    calls = [
        (STATES[state].xml(), command)
        for state, told in found
        for problem in told
        for command in problem.commands
        if command.startswith("pcs ")
    ]
    commands = {command for _, command in calls}
    assert len(calls) > 100
    assert {
        "pcs resource bundle update galera-bundle meta maintenance=",
        "pcs resource meta galera maintenance=",
        "pcs resource meta ip-192.0.2.10 maintenance=",
        "pcs resource manage galera",
        "pcs node unmaintenance controller-0",
        "pcs node unmaintenance --all",
        "pcs node unstandby controller-2",
        "pcs resource clear galera-bundle",
        "pcs constraint ticket config --full",
    } <= commands
    assert refused(see.need("pcs"), calls) == {}
