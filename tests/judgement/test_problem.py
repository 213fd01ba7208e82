"""Findings become problems, and problems become cases."""

from dataclasses import replace

import pytest

from exporter.judgement.commands import Command, changes_cluster, merged
from exporter.judgement.problem import (
    _SAYS,
    CLUSTER,
    Cause,
    Finding,
    Kind,
    Problem,
    Severity,
    Subject,
    SubjectType,
    cases,
    grouped,
    with_new_commands,
)

BUNDLE = Subject(SubjectType.BUNDLE, "b")
ADDRESS = Subject(SubjectType.ADDRESS, "ip")


def nodes(
    count: int, kind: Kind = Kind.NODE_UNCLEAN, severity: Severity = Severity.CRITICAL
) -> list[Finding]:
    return [
        Finding(kind, severity, Subject(SubjectType.NODE, f"n{number}"), noun="remote node")
        for number in range(count)
    ]


def degraded(*names: str, node: str = "") -> list[Finding]:
    cause = Cause(Kind.NODE_UNCLEAN, (Subject(SubjectType.NODE, node),)) if node else None
    return [
        Finding(
            Kind.BUNDLE_DEGRADED,
            Severity.CRITICAL,
            Subject(SubjectType.BUNDLE, name),
            ("2 of 3",),
            cause=cause,
            alone=not node,
        )
        for name in names
    ]


def sentences(found: tuple[Problem, ...]) -> list[str]:
    return [problem.sentence for problem in found]


def test_findings_of_one_kind_are_one_problem() -> None:
    (problem,) = grouped(nodes(100))
    assert problem.sentence == "100 remote nodes are unclean: n0, n1, n2 and 97 more"
    assert problem.title == "100 remote nodes"
    assert len(problem.subjects) == 100


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (1, "remote node n0 is unclean"),
        (2, "2 remote nodes are unclean: n0 and n1"),
        (3, "3 remote nodes are unclean: n0, n1 and n2"),
        (10, "10 remote nodes are unclean: n0, n1, n2, n3, n4, n5, n6, n7, n8 and n9"),
        (11, "11 remote nodes are unclean: n0, n1, n2 and 8 more"),
    ],
)
def test_sentence_names_up_to_ten_subjects(count: int, sentence: str) -> None:
    assert sentences(grouped(nodes(count))) == [sentence]


def test_findings_with_reasons_of_their_own_stay_apart() -> None:
    assert sentences(grouped(degraded("a", "b"))) == ["a is degraded", "b is degraded"]


def test_findings_with_one_cause_are_one_problem() -> None:
    found = grouped([*nodes(3), *degraded("a", node="n0"), *degraded("b", node="n2")])
    assert sentences(found)[0] == "2 bundles are degraded: a and b"
    assert found[0].cause == Cause(
        Kind.NODE_UNCLEAN, (Subject(SubjectType.NODE, "n0"), Subject(SubjectType.NODE, "n2"))
    )


def test_findings_with_different_causes_are_different_problems() -> None:
    other = Subject(SubjectType.NODE, "x")
    alone = Finding(Kind.NODE_UNCLEAN, Severity.CRITICAL, other, noun="node")
    found = grouped([*nodes(1), alone, *degraded("a", node="n0"), *degraded("b", node="x")])
    assert len(found) == 4


def test_findings_about_one_subject_are_merged() -> None:
    first = Finding(Kind.LEFT_OVER_CONSTRAINT, Severity.WARNING, BUNDLE, ("one", "two"))
    (problem,) = grouped([first, replace(first, details=("two", "three"))])
    assert problem.subjects == (BUNDLE,)
    assert problem.texts == ("one", "two", "three")


def test_problems_are_ordered_by_severity_then_services_then_nodes() -> None:
    kinds = [
        Finding(Kind.MIXED_VERSIONS, Severity.INFO, CLUSTER, says="mixed"),
        Finding(Kind.NODE_STANDBY, Severity.INFO, Subject(SubjectType.NODE, "n")),
        Finding(Kind.BUNDLE_DISABLED, Severity.INFO, BUNDLE),
        Finding(Kind.RESOURCE_DOWN, Severity.WARNING, Subject(SubjectType.RESOURCE, "r")),
        Finding(Kind.NODE_OFFLINE, Severity.WARNING, Subject(SubjectType.NODE, "m")),
        Finding(Kind.NO_QUORUM, Severity.CRITICAL, CLUSTER, says="no quorum"),
        *nodes(1),
        Finding(Kind.ADDRESS_DOWN, Severity.CRITICAL, ADDRESS),
        *degraded("b"),
    ]
    assert [problem.kind for problem in grouped(kinds)] == [
        Kind.ADDRESS_DOWN,
        Kind.BUNDLE_DEGRADED,
        Kind.NODE_UNCLEAN,
        Kind.NO_QUORUM,
        Kind.NODE_OFFLINE,
        Kind.RESOURCE_DOWN,
        Kind.BUNDLE_DISABLED,
        Kind.NODE_STANDBY,
        Kind.MIXED_VERSIONS,
    ]


def test_detail_that_is_the_same_for_several_subjects_is_said_once() -> None:
    found = degraded("a", "b", "c", node="n0")
    found[1] = replace(found[1], details=("2 of 3", "no replica is promoted"))
    (problem,) = grouped(found)
    assert problem.texts == ("each: 2 of 3", "b: no replica is promoted")
    assert problem.about(Subject(SubjectType.BUNDLE, "a")) == ("is degraded", "2 of 3")


def test_details_that_do_not_fit_are_counted() -> None:
    found = [replace(f, details=(f"reason of {f.subject.name}",)) for f in nodes(50)]
    (problem,) = grouped(found)
    assert len(problem.texts) == 11
    assert problem.texts[0] == "n0: reason of n0"
    assert problem.texts[-1] == "40 more: see show --json"
    assert len(problem.all_texts) == 50


def test_consequences_are_told_with_their_cause() -> None:
    found = grouped([*nodes(1), *degraded("a", "b", node="n0"), *degraded("c")])
    second, first = cases(found)
    assert (first.sentence, first.severity) == ("remote node n0 is unclean", Severity.CRITICAL)
    assert first.texts == ("2 bundles are degraded: a and b", "each: 2 of 3")
    assert second.sentence == "c is degraded"


def test_case_is_as_severe_as_its_worst_consequence() -> None:
    node = nodes(1, severity=Severity.WARNING)
    other = Finding(Kind.NODE_OFFLINE, Severity.CRITICAL, Subject(SubjectType.NODE, "m"))
    first, second = cases(grouped([other, *node, *degraded("a", node="n0")]))
    assert first.root.severity is Severity.WARNING
    assert first.severity is Severity.CRITICAL
    assert second.root.kind is Kind.NODE_OFFLINE, "a service is affected by the other"


def test_consequence_of_a_consequence_is_told_with_the_first_cause() -> None:
    address = Finding(
        Kind.ADDRESS_DOWN,
        Severity.CRITICAL,
        ADDRESS,
        ("is stopped",),
        cause=Cause(Kind.BUNDLE_DEGRADED, (Subject(SubjectType.BUNDLE, "a"),)),
    )
    (case,) = cases(grouped([*nodes(1), *degraded("a", node="n0"), address]))
    assert case.texts == ("a is degraded: 2 of 3", "address ip is down: is stopped")


def test_consequence_of_an_unknown_cause_is_told_on_its_own() -> None:
    (case,) = cases(grouped(degraded("a", node="n0")))
    assert case.sentence == "a is degraded"


def test_circle_of_causes_loses_no_problem() -> None:
    def finding(name: str, other: str) -> Finding:
        cause = Cause(Kind.RESOURCE_DOWN, (Subject(SubjectType.RESOURCE, other),))
        subject = Subject(SubjectType.RESOURCE, name)
        return Finding(Kind.RESOURCE_DOWN, Severity.WARNING, subject, cause=cause, alone=True)

    found = cases(grouped([finding("a", "b"), finding("b", "a"), finding("c", "a")]))
    told = [case.sentence for case in found] + [t for case in found for t in case.texts]
    assert sorted(told) == ["resource a is down", "resource b is down", "resource c is down"]


def test_every_kind_has_a_predicate_or_is_about_the_cluster() -> None:
    whole_sentences = {
        Kind.NO_DC,
        Kind.NO_QUORUM,
        Kind.QUORUM_UNKNOWN,
        Kind.COROSYNC_UNRESPONSIVE,
        Kind.QUORUM_DISAGREES,
        Kind.QUORUM_WITHOUT_MARGIN,
        Kind.EXPECTED_VOTES_DIFFER,
        Kind.QDEVICE_NOT_VOTING,
        Kind.COROSYNC_RING_FAULTY,
        Kind.STOP_ALL_RESOURCES,
        Kind.MAINTENANCE_MODE,
        Kind.FENCING_DISABLED,
        Kind.FENCING_HISTORY_UNREAD,
        Kind.CONFIGURATION_NOT_CURRENT,
        Kind.MIXED_VERSIONS,
        Kind.SBD_WATCHDOG_MISSING,
    }
    assert set(_SAYS) == set(Kind) - whole_sentences
    for kind in Kind:
        assert kind.value == kind.name.lower()


# ---- Commands ----


def test_commands_that_take_several_names_are_merged() -> None:
    enable = Command("pcs resource enable", takes_several=True)
    found = [replace(enable, name=name) for name in ("a", "b c", "a")]
    clear = [Command("pcs resource clear", name) for name in ("a", "b")]
    assert merged([*found, *clear, Command("pcs status")]) == (
        "pcs resource enable a 'b c'",
        "pcs resource clear a",
        "pcs resource clear b",
        "pcs status",
    )


def test_many_names_need_a_command_without_names_if_there_is_one() -> None:
    names = [f"n{number}" for number in range(11)]
    general = [Command("pcs node standby", n, takes_several=True, for_many="all") for n in names]
    assert merged(general[:10]) == (f"pcs node standby {' '.join(names[:10])}",)
    assert merged(general) == ("all",)
    assert merged(Command("clear", name) for name in names) == tuple(
        f"clear {name}" for name in names[:10]
    )


def test_words_after_the_name_stay_there() -> None:
    assert merged([Command("pcs resource meta", "a", "maintenance=")]) == (
        "pcs resource meta a maintenance=",
    )


def test_command_of_an_earlier_case_is_not_repeated() -> None:
    command = (Command("pcs status"),)
    found = cases(grouped(replace(f, commands=command) for f in degraded("a", "b")))
    assert [commands for _, commands in with_new_commands(found)] == [("pcs status",), ()]


def test_commands_that_change_the_cluster_are_distinguished() -> None:
    assert changes_cluster("pcs property set maintenance-mode=false")
    assert changes_cluster("pcs resource cleanup x")
    assert changes_cluster("pcs resource clear x")
    assert changes_cluster("pcs resource meta x maintenance=")
    assert changes_cluster("pcs resource bundle update x meta maintenance=")
    assert changes_cluster("pcs node unstandby x")
    assert not changes_cluster("pcs status --full")
    assert not changes_cluster("pcs stonith history show x")
    assert not changes_cluster("pcs resource failcount show x")
