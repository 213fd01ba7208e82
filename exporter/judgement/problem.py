"""Problems: their kinds, severities, subjects, causes and words.

Findings about one subject each are grouped: what has one kind and one cause is one problem.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from exporter.judgement.commands import MOST, Command, merged

NAMES = 3
"""Names to list if there are too many for a sentence."""


class Severity(StrEnum):
    """How urgent a problem is, worst first."""

    CRITICAL = "critical"
    """A service is down or degraded, or nobody can tell."""
    WARNING = "warning"
    """Somebody has to work on it; services are as wanted."""
    INFO = "info"
    """On purpose."""


class SubjectType(StrEnum):
    """What has a problem."""

    CLUSTER = "cluster"
    NODE = "node"
    BUNDLE = "bundle"
    ADDRESS = "address"
    """A resource that is a virtual address: see ADDRESS_AGENTS."""
    RESOURCE = "resource"
    """Another resource outside bundles, or a whole group."""
    CLONE = "clone"
    TICKET = "ticket"


SERVICES = frozenset({SubjectType.BUNDLE, SubjectType.ADDRESS})
"""What clients need. Its problems come before others of the same severity."""


class Kind(StrEnum):
    """The kind of a problem. The names are stable: scripts and queries use them."""

    NO_DC = "no_dc"
    NO_QUORUM = "no_quorum"
    QUORUM_UNKNOWN = "quorum_unknown"
    COROSYNC_UNRESPONSIVE = "corosync_unresponsive"
    QUORUM_DISAGREES = "quorum_disagrees"
    QUORUM_WITHOUT_MARGIN = "quorum_without_margin"
    EXPECTED_VOTES_DIFFER = "expected_votes_differ"
    QDEVICE_NOT_VOTING = "qdevice_not_voting"
    COROSYNC_LINK_DOWN = "corosync_link_down"
    COROSYNC_ALL_LINKS_DOWN = "corosync_all_links_down"
    COROSYNC_RING_FAULTY = "corosync_ring_faulty"
    STOP_ALL_RESOURCES = "stop_all_resources"
    MAINTENANCE_MODE = "maintenance_mode"
    FENCING_DISABLED = "fencing_disabled"
    FENCING_HISTORY_UNREAD = "fencing_history_unread"
    CONFIGURATION_NOT_CURRENT = "configuration_not_current"
    MIXED_VERSIONS = "mixed_versions"
    TICKET_NOT_GRANTED = "ticket_not_granted"
    SBD_WATCHDOG_MISSING = "sbd_watchdog_missing"
    SBD_DAEMON_DOWN = "sbd_daemon_down"

    NODE_UNCLEAN = "node_unclean"
    NODE_OFFLINE = "node_offline"
    REMOTE_NODE_UNCLEAN = "remote_node_unclean"
    REMOTE_NODE_OFFLINE = "remote_node_offline"
    REMOTE_NODE_DISABLED = "remote_node_disabled"
    REMOTE_NODE_HELD_BACK = "remote_node_held_back"
    NODE_PENDING = "node_pending"
    NODE_SHUTTING_DOWN = "node_shutting_down"
    NODE_STANDBY_ON_FAIL = "node_standby_on_fail"
    NODE_STANDBY = "node_standby"
    NODE_MAINTENANCE = "node_maintenance"
    NODE_UNHEALTHY = "node_unhealthy"
    FENCING_FAILED = "fencing_failed"
    FENCING_PENDING = "fencing_pending"
    UNFENCING_FAILED = "unfencing_failed"
    UNFENCING_PENDING = "unfencing_pending"

    BUNDLE_DOWN = "bundle_down"
    BUNDLE_DEGRADED = "bundle_degraded"
    BUNDLE_IGNORED = "bundle_ignored"
    REPLICA_ON_TWO_NODES = "replica_on_two_nodes"
    TOO_MANY_PROMOTED = "too_many_promoted"
    REPLICA_BLOCKED = "replica_blocked"
    REPLICA_FAILED = "replica_failed"
    REPLICA_ORPHANED = "replica_orphaned"
    BUNDLE_CROWDED = "bundle_crowded"
    BUNDLE_MARKED_FAILED = "bundle_marked_failed"
    BUNDLE_DISABLED = "bundle_disabled"
    BUNDLE_HELD_BACK = "bundle_held_back"
    BUNDLE_REDUCED = "bundle_reduced"
    BUNDLE_DEMOTED = "bundle_demoted"
    BUNDLE_MAINTENANCE = "bundle_maintenance"
    BUNDLE_UNMANAGED = "bundle_unmanaged"

    ADDRESS_DOWN = "address_down"
    RESOURCE_DOWN = "resource_down"
    RESOURCE_BLOCKED = "resource_blocked"
    RESOURCE_FAILED = "resource_failed"
    RESOURCE_ON_SEVERAL_NODES = "resource_on_several_nodes"
    RESOURCE_ORPHANED = "resource_orphaned"
    RESOURCE_DISABLED = "resource_disabled"
    RESOURCE_HELD_BACK = "resource_held_back"
    RESOURCE_WITHOUT_NODE = "resource_without_node"
    RESOURCE_MAINTENANCE = "resource_maintenance"
    RESOURCE_UNMANAGED = "resource_unmanaged"
    CLONE_INCOMPLETE = "clone_incomplete"
    AGENT_DEGRADED = "agent_degraded"
    FAIL_COUNT_AT_THRESHOLD = "fail_count_at_threshold"
    FAIL_COUNT_NEAR_THRESHOLD = "fail_count_near_threshold"
    LEFT_OVER_CONSTRAINT = "left_over_constraint"


_SUBJECT = "{subject}"
_SAYS = {
    Kind.TICKET_NOT_GRANTED: "{is} not granted to this site",
    Kind.COROSYNC_LINK_DOWN: "{has} a link of corosync that is down",
    Kind.COROSYNC_ALL_LINKS_DOWN: "{has} no link of corosync that is up",
    Kind.SBD_DAEMON_DOWN: "{has} no running SBD daemon",
    Kind.NODE_UNCLEAN: "{is} unclean",
    Kind.NODE_OFFLINE: "{is} offline",
    Kind.REMOTE_NODE_UNCLEAN: "{is} unclean",
    Kind.REMOTE_NODE_OFFLINE: "{is} offline",
    Kind.REMOTE_NODE_DISABLED: "{is} disabled",
    Kind.REMOTE_NODE_HELD_BACK: "{is} held back",
    Kind.NODE_PENDING: "{is} joining the cluster",
    Kind.NODE_SHUTTING_DOWN: "{is} shutting down",
    Kind.NODE_STANDBY_ON_FAIL: "{is} in standby after a failure",
    Kind.NODE_STANDBY: "{is} in standby",
    Kind.NODE_MAINTENANCE: "{is} in maintenance",
    Kind.NODE_UNHEALTHY: "{is} unhealthy",
    Kind.FENCING_FAILED: "fencing of {subject} failed",
    Kind.FENCING_PENDING: "fencing of {subject} is in progress",
    Kind.UNFENCING_FAILED: "unfencing of {subject} failed",
    Kind.UNFENCING_PENDING: "unfencing of {subject} is in progress",
    Kind.BUNDLE_DOWN: "{is} down",
    Kind.BUNDLE_DEGRADED: "{is} degraded",
    Kind.BUNDLE_IGNORED: "{is} configured, but crm_mon does not list it",
    Kind.REPLICA_ON_TWO_NODES: "{has} a replica that runs on several nodes",
    Kind.TOO_MANY_PROMOTED: "{has} too many promoted replicas",
    Kind.REPLICA_BLOCKED: "{has} a blocked replica",
    Kind.REPLICA_FAILED: "{has} a failed replica",
    Kind.REPLICA_ORPHANED: "{has} an orphaned replica",
    Kind.BUNDLE_CROWDED: "{has} too many replicas on one host",
    Kind.BUNDLE_MARKED_FAILED: "{is} marked failed",
    Kind.BUNDLE_DISABLED: "{is} disabled (target-role is Stopped)",
    Kind.BUNDLE_HELD_BACK: "{is} held back",
    Kind.BUNDLE_REDUCED: "{is} reduced, as expected",
    Kind.BUNDLE_DEMOTED: "{is} not to be promoted",
    Kind.BUNDLE_MAINTENANCE: "{is} in maintenance",
    Kind.BUNDLE_UNMANAGED: "{is} unmanaged",
    Kind.ADDRESS_DOWN: "{is} down",
    Kind.RESOURCE_DOWN: "{is} down",
    Kind.RESOURCE_BLOCKED: "{is} blocked",
    Kind.RESOURCE_FAILED: "{has} failed",
    Kind.RESOURCE_ON_SEVERAL_NODES: "{is} active on several nodes",
    Kind.RESOURCE_ORPHANED: "{is} orphaned (no longer configured)",
    Kind.RESOURCE_DISABLED: "{is} disabled (target-role is Stopped)",
    Kind.RESOURCE_HELD_BACK: "{is} held back",
    Kind.RESOURCE_WITHOUT_NODE: "{has} no node in service to run on",
    Kind.RESOURCE_MAINTENANCE: "{is} in maintenance",
    Kind.RESOURCE_UNMANAGED: "{is} unmanaged",
    Kind.CLONE_INCOMPLETE: "{has} too few healthy instances",
    Kind.AGENT_DEGRADED: "{has} an agent that reports a degraded state",
    Kind.FAIL_COUNT_AT_THRESHOLD: "{has} failed too often on a node",
    Kind.FAIL_COUNT_NEAR_THRESHOLD: "{is} one failure away from its limit on a node",
    Kind.LEFT_OVER_CONSTRAINT: "{has} a constraint left over from a move or ban",
}
"""The predicate of each kind, or a sentence with {subject}.

Problems of the cluster itself bring whole sentences."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A thing that has a problem."""

    type: SubjectType
    name: str = ""
    """Empty for the cluster."""


CLUSTER = Subject(SubjectType.CLUSTER)


@dataclass(frozen=True, slots=True)
class Cause:
    """The problem that another one follows from."""

    kind: Kind
    subjects: tuple[Subject, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one subject."""

    kind: Kind
    severity: Severity
    subject: Subject
    details: tuple[str, ...] = ()
    """More about it, in words."""
    commands: tuple[Command, ...] = ()
    """Commands to inspect or repair it."""
    cause: Cause | None = None
    noun: str = ""
    """The noun for the subject; empty for the name of its type."""
    says: str = ""
    """The predicate if it is not that of the kind, or the whole sentence about the cluster."""
    alone: bool = False
    """It has a reason of its own: never group it with findings about other subjects."""


def about_cluster(
    kind: Kind, severity: Severity, says: str, *advice: str, cause: Cause | None = None
) -> Finding:
    """Return a finding about the cluster itself.

    Args:
        kind: its kind.
        severity: its severity.
        says: the whole sentence.
        advice: commands to inspect or repair it.
        cause: the problem that it follows from.

    """
    commands = tuple(map(Command, advice))
    return Finding(kind, severity, CLUSTER, commands=commands, cause=cause, says=says)


@dataclass(frozen=True)
class Problem:
    """What is wrong with one or many subjects, for one cause."""

    kind: Kind
    severity: Severity
    subjects: tuple[Subject, ...]
    details: tuple[tuple[str, ...], ...]
    """More about each subject, in words."""
    commands: tuple[str, ...] = ()
    """Commands to inspect or repair it."""
    cause: Cause | None = None
    """The problem that this one follows from; None if it is not known to follow from any."""
    noun: str = ""
    says: str = ""

    @property
    def is_service(self) -> bool:
        """Whether it is about services."""
        return self.subjects[0].type in SERVICES

    @property
    def title(self) -> str:
        """Return the subjects: the name of a single one, the number of several."""
        if len(self.subjects) == 1:
            return titled(self.noun, self.subjects[0])
        return f"{len(self.subjects)} {plural(self.noun)}"

    @property
    def sentence(self) -> str:
        """Say what is wrong, with the names of the first subjects."""
        if self.subjects == (CLUSTER,):
            return self.says
        one = len(self.subjects) == 1
        if _SUBJECT in self.says:
            said = self.says.replace(_SUBJECT, self.subjects[0].name if one else self.title)
        else:
            said = f"{self.title} {_conjugated(self.says, one=one)}"
        return said if one else f"{said}: {listed([subject.name for subject in self.subjects])}"

    @cached_property
    def all_texts(self) -> tuple[str, ...]:
        """The details of all subjects; what is the same for several is said once."""
        if len(self.subjects) == 1:
            return self.details[0]
        by_text: dict[str, list[str]] = {}
        for subject, details in zip(self.subjects, self.details, strict=True):
            for text in details:
                by_text.setdefault(text, []).append(subject.name)
        return tuple(
            f"each: {text}" if len(names) == len(self.subjects) else f"{listed(names)}: {text}"
            for text, names in by_text.items()
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """The first details, and the number of the rest."""
        texts = self.all_texts
        if len(texts) <= MOST + 1:
            return texts
        return (*texts[:MOST], f"{len(texts) - MOST} more: see show --json")

    def about(self, subject: Subject) -> tuple[str, ...]:
        """Say what is wrong with one of the subjects, without its name."""
        if subject == CLUSTER:
            return (self.says,)
        place = self.subjects.index(subject)
        said = _conjugated(self.says, one=True).replace(_SUBJECT, subject.name)
        return said, *self.details[place]


def _conjugated(says: str, *, one: bool) -> str:
    """Return a predicate about one subject or several."""
    return says.replace("{is}", "is" if one else "are").replace("{has}", "has" if one else "have")


def listed(names: Sequence[str]) -> str:
    """Return names with commas; of many only the first, and the number of the rest."""
    if len(names) > MOST:
        return f"{', '.join(names[:NAMES])} and {len(names) - NAMES} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def titled(noun: str, subject: Subject) -> str:
    """Return what a subject is and its name; only the name of a bundle."""
    if subject.type is SubjectType.CLUSTER:
        return "the cluster itself"
    return subject.name if subject.type is SubjectType.BUNDLE else f"{noun} {subject.name}"


def plural(noun: str) -> str:
    """Return the plural of a noun."""
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def grouped(findings: Iterable[Finding]) -> tuple[Problem, ...]:
    """Group findings into problems, the most severe first, services before nodes before others."""
    found = [_completed(finding) for finding in findings]
    alike = {(finding.kind, finding.subject): _key(finding) for finding in found}
    groups: dict[object, list[Finding]] = {}
    for finding in found:
        cause = finding.cause
        # Findings about several subjects of one problem have the same cause.
        because = cause and frozenset(
            alike.get((cause.kind, subject), (cause.kind, subject)) for subject in cause.subjects
        )
        groups.setdefault((_key(finding), because), []).append(finding)
    return tuple(sorted(map(_problem, groups.values()), key=_rank))


def _completed(finding: Finding) -> Finding:
    return replace(
        finding,
        noun=finding.noun or finding.subject.type.value,
        says=finding.says or _SAYS[finding.kind],
    )


def _key(finding: Finding) -> tuple[object, ...]:
    """Return what findings have in common that can be one problem."""
    own = finding.subject if finding.alone else None
    return finding.kind, finding.severity, finding.noun, finding.says, own


def _problem(findings: Sequence[Finding]) -> Problem:
    first = findings[0]
    details: dict[Subject, dict[str, None]] = {}
    for finding in findings:
        details.setdefault(finding.subject, {}).update(dict.fromkeys(finding.details))
    causes = [finding.cause for finding in findings if finding.cause]
    subjects = dict.fromkeys(subject for cause in causes for subject in cause.subjects)
    return Problem(
        first.kind,
        first.severity,
        tuple(details),
        tuple(map(tuple, details.values())),
        merged(command for finding in findings for command in finding.commands),
        Cause(first.cause.kind, tuple(subjects)) if first.cause else None,
        first.noun,
        first.says,
    )


def names_with_problems(problems: Iterable[Problem], types: Collection[SubjectType]) -> set[str]:
    """Return the names of all subjects of some types."""
    return {
        subject.name
        for problem in problems
        for subject in problem.subjects
        if subject.type in types
    }


_SEVERITIES = list(Severity)


def _rank(problem: Problem) -> tuple[int, int]:
    type_ = problem.subjects[0].type
    return (
        _SEVERITIES.index(problem.severity),
        0 if type_ in SERVICES else 1 if type_ is SubjectType.NODE else 2,
    )


@dataclass(frozen=True)
class Case:
    """A problem and what follows from it, to be told together."""

    root: Problem
    consequences: tuple[Problem, ...] = ()

    @property
    def severity(self) -> Severity:
        """The worst severity of the problem and its consequences."""
        return min((p.severity for p in self._all), key=_SEVERITIES.index)

    @property
    def _all(self) -> tuple[Problem, ...]:
        return self.root, *self.consequences

    @property
    def rank(self) -> tuple[int, int]:
        """The best place that the problem or one of its consequences has."""
        return min(map(_rank, self._all))

    @property
    def sentence(self) -> str:
        """Say what is wrong, without what follows from it."""
        return self.root.sentence

    @property
    def texts(self) -> tuple[str, ...]:
        """The details of the problem, and what follows from it."""
        return (*self.root.texts, *(text for p in self.consequences for text in _in_short(p)))

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands of the problem, and then those of what follows from it."""
        return tuple(dict.fromkeys(command for p in self._all for command in p.commands))


def _in_short(problem: Problem) -> Iterator[str]:
    if len(problem.subjects) == 1 and problem.texts:
        yield f"{problem.sentence}: {', '.join(problem.texts)}"
    else:
        yield problem.sentence
        yield from problem.texts


def cases(problems: Sequence[Problem]) -> tuple[Case, ...]:
    """Put each problem below the one that it follows from; order the cases like problems."""
    by_kind: dict[Kind, list[Problem]] = {}
    for problem in problems:
        by_kind.setdefault(problem.kind, []).append(problem)
    below: dict[int, list[Problem]] = {id(problem): [] for problem in problems}
    roots = []
    for problem in problems:
        root = _root(problem, by_kind)
        if root is problem:
            roots.append(problem)
        else:
            below[id(root)].append(problem)
    found = [Case(root, tuple(below[id(root)])) for root in roots]
    return tuple(sorted(found, key=lambda case: case.rank))


def _root(problem: Problem, by_kind: dict[Kind, list[Problem]]) -> Problem:
    """Return the problem at the beginning of the chain of causes."""
    seen = [problem]
    while (cause := _cause(seen[-1], by_kind)) is not None:
        if any(cause is known for known in seen):
            return problem  # a circle: tell each on its own
        seen.append(cause)
    return seen[-1]


def _cause(problem: Problem, by_kind: dict[Kind, list[Problem]]) -> Problem | None:
    cause = problem.cause
    if cause is None:
        return None
    wanted = set(cause.subjects)
    return next((p for p in by_kind.get(cause.kind, ()) if wanted <= set(p.subjects)), None)


def with_new_commands(found: Sequence[Case]) -> Iterator[tuple[Case, tuple[str, ...]]]:
    """Yield each case with the commands that no earlier case has."""
    earlier: set[str] = set()
    for case in found:
        yield case, tuple(command for command in case.commands if command not in earlier)
        earlier.update(case.commands)
