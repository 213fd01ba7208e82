"""The status page: problems first, then the cluster, from the published state.

The page is built as an lxml tree, which escapes all names: they cannot become markup.
"""

import asyncio
import base64
import functools
import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias
from urllib.parse import quote

from lxml import etree
from lxml.builder import E

from exporter.cluster.agents import is_address
from exporter.cluster.model import Bundle, Instance, NodeType, Snapshot
from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Outcome, SourceStatus
from exporter.cluster.text import printable
from exporter.judgement.bundles import BundleJudgement
from exporter.judgement.commands import STATUS, changes_cluster
from exporter.judgement.judge import Judgement
from exporter.judgement.polls import Explanation, failed_poll
from exporter.judgement.problem import (
    Case,
    Problem,
    Severity,
    Subject,
    SubjectType,
    cases,
    names_with_problems,
    plural,
    titled,
    with_new_commands,
)
from exporter.judgement.problems import has_failures
from exporter.judgement.resources import InstanceJudgement
from exporter.metrics.exporter import Identity
from exporter.metrics.text import GZIP_LEVEL
from exporter.polling.registry import Registration
from exporter.polling.state import State
from exporter.report import corosync, tables
from exporter.report.document import document, utc
from exporter.report.tables import Cell, Table, Tone, Words, age, when
from exporter.runtime.threads import own_thread

Element: TypeAlias = etree._Element  # noqa: SLF001 - lxml has no other name for it

OPEN_BUNDLES = 4
"""With more bundles than this, those without problems are folded."""
LISTED = 20
"""Number of problems or rows that are shown; the others are folded or only counted."""
NAMED = 2
"""Subjects of one kind that the headline names; it counts more of them."""
NARROW_COLUMNS = 6
"""Tables with more columns get the whole width."""
LEAST_REFRESH = 5
"""Minimum seconds between refreshes, even if polls are more frequent."""

_STYLE = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    "default-src 'none'",
    f"style-src 'sha256-{_DIGEST}'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
HEADERS = (
    ("content-security-policy", "; ".join(_POLICY)),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("vary", "Accept-Encoding"),
)


@dataclass(frozen=True, slots=True)
class PageOptions:
    """Settings of the page that do not change."""

    telemetry_path: str
    runbooks_url: str = ""
    """Empty for no link."""
    node_url: str = ""
    """URL of the exporter on another node, with NODE for its name; empty for no links."""
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """All inputs of the page, which is a pure function of them."""

    published: State
    """The last published state."""
    identity: Identity
    time: float
    """Seconds since the epoch."""
    monotonic: float

    @property
    def state(self) -> State:
        """The state without an observation that is too old."""
        return self.published.at(self.monotonic, self.identity.max_age)

    @property
    def age(self) -> float:
        """Seconds since the crm_mon of the observation was started, by the monotonic clock."""
        return max(0.0, self.monotonic - self.published.started)

    @property
    def now(self) -> float:
        """Now in seconds since the epoch, for ages: unaffected by changes of the wall clock."""
        observation = self.state.observation
        return (
            self.time
            if observation is None or observation.taken is None
            else observation.taken + self.age
        )

    def is_fresh_for(self, asked: "Inputs", now: "Inputs") -> bool:
        """Whether a page of these inputs shows the state of `now`, and is no older than `asked`."""
        same = self.state.key == now.state.key
        return same and int(self.monotonic) >= int(asked.monotonic)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page, or the same as JSON, plain and compressed with gzip."""

    plain: bytes
    compressed: bytes


class StatusPage:
    """Renders the page outside the event loop, at most once per state and second."""

    def __init__(self, options: PageOptions, registry: Sequence[Registration]) -> None:
        """Args: settings of the page, the sources with their tables."""
        self._options = options
        self._registry = registry
        self._last_pages: dict[bool, tuple[Inputs, Rendered]] = {}
        self._last_json: tuple[Judgement, Rendered] | None = None
        self._lock = asyncio.Lock()
        self._thread = own_thread("status page")

    async def html(self, read_inputs: Callable[[], Inputs], *, refreshing: bool) -> Rendered:
        """Return the current page.

        Requests that arrive while a page is rendered share the next one.

        Args:
            read_inputs: returns the current inputs.
            refreshing: whether the page asks the browser to refresh it.

        """
        asked = read_inputs()
        async with self._lock:
            now, last = read_inputs(), self._last_pages.get(refreshing)
            if last is None or not last[0].is_fresh_for(asked, now):
                page = await asyncio.get_running_loop().run_in_executor(
                    self._thread,
                    functools.partial(
                        _page, now, self._options, self._registry, refreshing=refreshing
                    ),
                )
                last = self._last_pages[refreshing] = now, page
            return last[1]

    async def json(self, read_inputs: Callable[[], Inputs]) -> Rendered | None:
        """Return what `show --json` prints; None without an observation.

        Args:
            read_inputs: returns the current inputs.

        """
        async with self._lock:
            judgement = read_inputs().state.judgement
            if judgement is None:
                self._last_json = None
                return None
            if self._last_json is None or self._last_json[0] is not judgement:
                rendered = await asyncio.get_running_loop().run_in_executor(
                    self._thread, functools.partial(_json, judgement)
                )
                self._last_json = judgement, rendered
            return self._last_json[1]


def _compressed(plain: bytes) -> Rendered:
    return Rendered(plain, gzip.compress(plain, GZIP_LEVEL))


def _json(judgement: Judgement) -> Rendered:
    return _compressed(json.dumps(document(judgement)).encode())


def _page(
    inputs: Inputs, options: PageOptions, registry: Iterable[Registration], *, refreshing: bool
) -> Rendered:
    return _compressed(_render(inputs, options, registry, refreshing=refreshing))


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The answer to "is anything wrong?", at the top of the page."""

    tone: Tone
    headline: str
    texts: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


def _render(
    inputs: Inputs, options: PageOptions, registry: Iterable[Registration], *, refreshing: bool
) -> bytes:
    judgement, observation = inputs.state.judgement, inputs.state.observation
    if judgement:
        verdict = _verdict_on_cluster(judgement, past=_last_poll_failed(inputs))
        content = _cluster(judgement, inputs.now, registry)
        found = with_new_commands(cases(judgement.problems))
        listed = [_case(*entry, judgement.snapshot) for entry in found]
    else:
        verdict, content, listed = _verdict_without_observation(inputs), iter(()), []
    name = _cluster_name(observation)
    page = E.html(
        {"lang": "en"},
        _head(f"{verdict.headline} - {name}", inputs, refreshing=refreshing),
        E.body(
            _header(name, inputs, options, refreshing=refreshing),
            E.main(
                *_stale(inputs, observation),
                _verdict(verdict, listed),
                _facts(inputs, observation),
                *content,
            ),
            _footer(inputs, options, observation),
        ),
    )
    text: str = etree.tostring(page, method="html", encoding="unicode", doctype="<!DOCTYPE html>")
    return text.encode()


def _cluster_name(observation: Observation | None) -> str:
    name = printable(observation.configuration_or_empty.cluster_name) if observation else ""
    return f"Cluster {name}" if name else "Pacemaker cluster"


# ---- Verdict ----


def _verdict_without_observation(inputs: Inputs) -> _Verdict:
    """Explain why the cluster is not shown."""
    state = inputs.state
    if state.last_outcome is None:
        return _Verdict(
            Tone.TRANSITION,
            "No data yet",
            ("The first poll has not ended yet. The cluster appears here after it.",),
        )
    finding = _why_no_data(state.last_outcome)
    if state.last_outcome is Outcome.NOT_CONNECTED:
        headline, texts = _capital(finding.text), []
    else:
        headline, texts = "The cluster cannot be seen from here", [_last_poll(finding)]
    if state.snapshot_time is None:
        texts.append("No poll has succeeded since the exporter started.")
    else:
        texts.append(f"The cluster was last seen {_ago(inputs, state.snapshot_time)}.")
    if inputs.published.observation is not None:
        texts.append(
            f"Data older than {_seconds(inputs.identity.max_age)} (--poll.max-age) is withdrawn,"
            " here and from the metrics, because it may no longer be true."
        )
    texts.append("To see the cluster, open this page on another of its nodes.")
    return _Verdict(Tone.FAILED, headline, tuple(texts), finding.commands)


def _why_no_data(outcome: Outcome) -> Explanation:
    if outcome is Outcome.SUCCESS:
        return Explanation("it succeeded, but the next one does not end", (STATUS,))
    return failed_poll(outcome)


def _last_poll(finding: Explanation) -> str:
    return f"The last poll: {finding.text}."


def _last_poll_failed(inputs: Inputs) -> bool:
    """Whether the last poll failed, so that the page shows an earlier observation."""
    return inputs.state.last_outcome not in {None, Outcome.SUCCESS}


def _verdict_on_cluster(judgement: Judgement, *, past: bool) -> _Verdict:
    """Say whether anything is (or was) wrong, and with what."""
    found, trusted = judgement.problems, judgement.observation.trusted
    doubt = () if trusted else ("Do not trust this view: what it shows may be wrong.",)
    texts = (*doubt, _readiness(judgement.snapshot.bundles, past=past))
    verb = "was" if past else "is"
    if not found:
        well = Tone.TRANSITION if past else Tone.STARTED
        return _Verdict(well, f"Nothing {verb} wrong", texts)
    if has_failures(found):
        worst = [problem for problem in found if problem.severity is Severity.CRITICAL]
        return _Verdict(Tone.FAILED, f"Something {verb} wrong with {_subjects_of(worst)}", texts)
    label = "Was worth a look" if past else "Worth a look"
    return _Verdict(Tone.TRANSITION, f"{label}: {_subjects_of(found)}", texts)


def _readiness(bundles: Sequence[Bundle], *, past: bool) -> str:
    total = sum(len(bundle.replicas) for bundle in bundles)
    ready = sum(replica.ready for bundle in bundles for replica in bundle.replicas)
    if not total:
        return f"There {'were' if past else 'are'} no bundles."
    which = f"All {total}" if ready == total > 1 else f"{ready} of {total}"
    singular, plural = ("was", "were") if past else ("is", "are")
    verb = singular if ready == 1 else plural
    return f"{which} replicas in {_count(len(bundles), 'bundle')} {verb} ready."


def _subjects_of(found: Sequence[Problem]) -> str:
    """Return the subjects of problems in order: the names of a few, the number of many."""
    by_noun: dict[str, dict[Subject, None]] = {}
    for problem in found:
        by_noun.setdefault(problem.noun, {}).update(dict.fromkeys(problem.subjects))
    parts: list[str] = []
    for noun, subjects in by_noun.items():
        if len(subjects) > NAMED:
            parts.append(f"{len(subjects)} {plural(noun)}")
        else:
            parts += [printable(titled(noun, subject)) for subject in subjects]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _stale(inputs: Inputs, observation: Observation | None) -> Iterator[Element]:
    """Yield a warning if the last poll failed and the page shows an earlier observation."""
    outcome = inputs.state.last_outcome
    if observation is None or outcome is None or not _last_poll_failed(inputs):
        return
    finding = failed_poll(outcome)
    past = f"The data is from {when(observation.taken, inputs.now, ' UTC')}"
    yield E.section(
        {"class": "verdict transition", "aria-labelledby": "stale"},
        E.h2(
            {"id": "stale"},
            _mark(Tone.TRANSITION),
            "The last poll failed: this page shows old data",
        ),
        E.p(_last_poll(finding)),
        E.p(f"{past}. It is {_withdrawal(inputs)}."),
        *_commands(finding.commands),
    )


# ---- The top of the page ----


def _head(title: str, inputs: Inputs, *, refreshing: bool) -> Element:
    every = {"http-equiv": "refresh", "content": str(_refresh_interval(inputs.identity))}
    return E.head(
        E.meta({"charset": "utf-8"}),
        E.title(title),
        E.meta({"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        E.meta({"name": "color-scheme", "content": "light dark"}),
        *((E.meta(every),) if refreshing else ()),
        E.style(_STYLE),
    )


def _banner(options: PageOptions) -> Iterator[Element]:
    if options.demo:
        text = "DEMONSTRATION: this is not a real cluster."
        yield E.p({"class": "banner", "role": "note"}, E.strong(text))


def _header(name: str, inputs: Inputs, options: PageOptions, *, refreshing: bool) -> Element:
    now = utc(inputs.time)
    time = E.time({"datetime": f"{now:%Y-%m-%dT%H:%M:%SZ}"}, f"{now:%H:%M:%S} UTC")
    if refreshing:
        every = _seconds(_refresh_interval(inputs.identity))
        link = E.a({"href": "?refresh=off"}, "Stop refreshing")
        parts = ("Shown at ", time, f", refreshed every {every}. ", link)
    else:
        link = E.a({"href": "?"}, "Resume refreshing")
        parts = ("Shown at ", time, ", not refreshed. ", link)
    return E.header(*_banner(options), E.h1(name), E.p({"class": "refresh"}, *parts))


def _verdict(verdict: _Verdict, problems: Sequence[Element]) -> Element:
    first, rest = problems[:LISTED], problems[LISTED:]
    more = E.details(E.summary(f"{len(rest)} more"), E.ul({"class": "problems"}, *rest))
    return E.section(
        {"class": f"verdict {verdict.tone}", "aria-labelledby": "verdict"},
        E.h2({"id": "verdict"}, _mark(verdict.tone), verdict.headline),
        *(E.p(text) for text in verdict.texts),
        *_commands(verdict.commands),
        *((E.ul({"class": "problems"}, *first),) if first else ()),
        *((more,) if rest else ()),
    )


_SEVERITIES = {
    Severity.CRITICAL: Tone.FAILED,
    Severity.WARNING: Tone.TRANSITION,
    Severity.INFO: Tone.FAINT,
}


def _case(case: Case, commands: Sequence[str], snapshot: Snapshot) -> Element:
    anchor = _anchor(case.root, snapshot)
    sentence = printable(case.sentence)
    severity = E.span({"class": f"tone {_SEVERITIES[case.severity]}"}, case.severity)
    return E.li(
        severity,
        " ",
        E.h3(E.a({"href": f"#{anchor}"}, sentence) if anchor else sentence),
        E.ul(*(E.li(printable(text)) for text in case.texts)),
        *_commands(commands),
    )


def _anchor(problem: Problem, snapshot: Snapshot) -> str:
    """Return the id of the element that shows the first subject; empty if there is none."""
    subject = problem.subjects[0]
    if subject.type is SubjectType.BUNDLE:
        ids = [bundle.id for bundle in snapshot.bundles]
        return f"bundle-{ids.index(subject.name)}" if subject.name in ids else ""
    if subject.type in _RESOURCES:
        listed = any(subject.name in _names(instance) for instance in snapshot.instances)
        return "resources" if listed else ""
    if subject.type is SubjectType.TICKET:
        return "tickets"
    listed = any(node.name == subject.name for node in snapshot.nodes)
    return "nodes" if subject.type is SubjectType.NODE and listed else ""


_RESOURCES = frozenset({SubjectType.RESOURCE, SubjectType.ADDRESS, SubjectType.CLONE})


def _names(instance: Instance) -> tuple[str, str, str]:
    """Return the names under which a problem of an instance may be told."""
    return instance.resource.id, instance.group, instance.clone


def _commands(commands: Sequence[str]) -> Iterator[Element]:
    if commands:
        yield E.ul({"class": "commands"}, *map(_command, commands))


def _command(command: str) -> Element:
    changes = E.span({"class": "changes"}, "changes the cluster")
    return E.li(E.code(printable(command)), *((" ", changes) if changes_cluster(command) else ()))


def _facts(inputs: Inputs, observation: Observation | None) -> Element:
    """Return the age of the data, whether to trust the view, and a summary of the cluster."""
    facts = list(_polled(inputs))
    if observation:
        cluster = observation.snapshot.cluster
        facts.append(("Data", (Words(f"{age(inputs.age)} old"),), _withdrawal(inputs)))
        facts.append(("View", (_trust(inputs),), _viewpoint(observation)))
        facts.append(("Cluster", tables.summary(cluster), tables.software(cluster)))
        if about := corosync.summary(observation.corosync):
            more = (*(words.text for words in about[1:]), corosync.links(observation.corosync))
            facts.append(("Corosync", about[:1], ", ".join(filter(None, more))))
        if cluster.last_change:
            changed = when(cluster.last_change_time, inputs.now, " UTC") or cluster.last_change
            author = tables.author_of_last_change(cluster)
            facts.append(("Configuration", (Words(printable(f"changed {changed}")),), author))
        if inputs.state.up:
            facts += _failing_sources(inputs.state.sources)
    groups = (
        E.div(E.dt(name), E.dd(*_sentence(state)), E.dd({"class": "faint"}, note))
        for name, state, note in facts
    )
    return E.section(
        {"aria-labelledby": "facts"},
        E.h2({"id": "facts", "class": "hidden"}, "This view"),
        E.dl({"class": "facts"}, *groups),
    )


def _polled(inputs: Inputs) -> Iterator[tuple[str, Cell, str]]:
    state = inputs.state
    if state.last_outcome is None or state.last_poll_time is None:
        yield "Last poll", (Words("none has ended yet", Tone.TRANSITION),), ""
        return
    past = age(max(0.0, inputs.time - state.last_poll_time))
    good = state.last_outcome is Outcome.SUCCESS
    how = Words("succeeded", Tone.STARTED) if good else Words("failed", Tone.FAILED)
    took = f"took {state.poll_duration or 0:.1f} s"
    note = took if good else f"{state.last_outcome}, {took}"
    yield "Last poll", (Words(f"{how.text} {past} ago", how.tone),), note


def _failing_sources(sources: Iterable[SourceStatus]) -> Iterator[tuple[str, Cell, str]]:
    """Yield the sources whose last read failed, though the poll succeeded without them."""
    for status in sources:
        if status.failure:
            name = _capital(status.source.replace("_", " "))
            yield name, (Words(status.failure.outcome, Tone.FAILED),), "see the exporter's log"


def _withdrawal(inputs: Inputs) -> str:
    return f"withdrawn when older than {_seconds(inputs.identity.max_age)}"


def _trust(inputs: Inputs) -> Words:
    if inputs.state.trusted:
        return Words("trusted", Tone.STARTED)
    return Words("not trusted", Tone.FAILED)


def _viewpoint(observation: Observation) -> str:
    here, dc = printable(observation.local_node), printable(observation.snapshot.cluster.dc_name)
    if not here:
        return "from this node, whose name in the cluster is unknown"
    if here == dc:
        return f"from {here}, the DC"
    return f"from {here}; the DC is {dc}" if dc else f"from {here}; no DC is elected"


# ---- The cluster ----


def _cluster(
    judgement: Judgement, now: float, registry: Iterable[Registration]
) -> Iterator[Element]:
    observation = judgement.observation
    yield from _bundles(judgement)
    if nodes := tables.nodes(judgement):
        yield _nodes(nodes)
    # If all is well, the summary says enough.
    if (members := corosync.members(observation)) and tables.has_exceptions(members):
        yield _section("corosync", members)
    yield from _resources(judgement.instances, judgement.problems)
    for name, table in tables.other_tables(judgement, now):
        yield _section(name, table)
    for number, registration in enumerate(registry):
        for table in registration.tables(observation, now):
            yield _section(f"source-{number}", table)


def _nodes(nodes: Table) -> Element:
    """Return the nodes; of many only those that are not well, and all of them folded."""
    shown = tables.exceptions(nodes)
    caption = "Nodes" if shown is nodes else "Nodes that are not well"
    parts = [_table(shown, caption, compact=True)]
    if shown is not nodes:
        summary = f"All {len(nodes.rows)} nodes: {shown.left_out}"
        folded = E.details(
            {"id": "all-nodes"}, E.summary(summary), _table(nodes, "All nodes", compact=True)
        )
        parts = [*(parts if shown.rows else []), folded]
    return E.section({"aria-labelledby": "nodes"}, E.h2({"id": "nodes"}, nodes.title), *parts)


def _bundles(judgement: Judgement) -> Iterator[Element]:
    """Yield the bundles, those with problems first."""
    bundles = judgement.bundles
    wrong = names_with_problems(judgement.problems, {SubjectType.BUNDLE})
    cards = [
        (bundle.id not in wrong, _bundle(bundle, number, judgement, wrong))
        for number, bundle in enumerate(bundles)
    ]
    many = "bundles many" if len(bundles) > OPEN_BUNDLES else "bundles"
    if cards:
        yield E.section(
            {"aria-labelledby": "bundles"},
            E.h2({"id": "bundles"}, "Bundles"),
            E.div({"class": many}, *(card for _, card in sorted(cards, key=lambda c: c[0]))),
        )


def _bundle(judged: BundleJudgement, number: int, judgement: Judgement, wrong: set[str]) -> Element:
    bundle = judged.bundle
    unfolded = bundle.id in wrong or len(judgement.bundles) <= OPEN_BUNDLES
    table = tables.replicas(judged)
    wide = bundle.id in wrong or (table is not None and len(table.headers) > NARROW_COLUMNS)
    state = tables.bundle_state(judged)
    where = [E.p({"class": "faint"}, _toned(words)) for words in tables.hosts(bundle)]
    return E.details(
        {
            "id": f"bundle-{number}",
            "class": "bundle wide" if wide else "bundle",
            **({"open": "open"} if unfolded else {}),
        },
        E.summary(
            E.h3(printable(bundle.id)),
            " ",
            E.span({"class": "state"}, *_sentence(state)),
            *([] if unfolded else where),
        ),
        E.p({"class": "faint"}, tables.bundle_kind(bundle)),
        *((_table(table, f"Replicas of {printable(bundle.id)}", compact=True),) if table else ()),
    )


def _resources(
    instances: Sequence[InstanceJudgement], found: Sequence[Problem]
) -> Iterator[Element]:
    """Yield the resources outside bundles; fold those without problems, except addresses.

    Many fencing devices are summed up by their states.
    """
    wrong = names_with_problems(found, _RESOURCES)
    shown: list[InstanceJudgement] = []
    folded: list[InstanceJudgement] = []
    others, devices = tables.without_many_devices(instances)
    for judged in others:
        told = is_address(judged.resource) or not wrong.isdisjoint(_names(judged.instance))
        (shown if told else folded).append(judged)
    parts: list[Element] = []
    if table := tables.resources(shown):
        caption = "Virtual addresses, and resources that have problems"
        parts.append(_table(table, caption, compact=True))
    if table := tables.resources(folded):
        summary = f"{_count(len(table.rows), 'resource')} without problems of their own"
        caption = "Resources without problems of their own"
        parts.append(E.details(E.summary(summary), _table(table, caption, compact=True)))
    if table := tables.resources(devices):
        parts.append(
            E.details(
                E.summary(*_sentence(tables.fencing_devices(devices))),
                _table(table, "Fencing devices", compact=True),
            )
        )
    if parts:
        yield E.section(
            {"aria-labelledby": "resources"},
            E.h2({"id": "resources"}, "Resources outside bundles"),
            *parts,
        )


def _section(name: str, table: Table) -> Element:
    """Return a section with a table; fold a table of many rows, which are not all listed."""
    note = ((E.p({"class": "faint"}, f"{_capital(table.note)}"),)) if table.note else ()
    left = len(table.rows) - LISTED
    more = f"{left} more: pacemaker-bundle-exporter show --all lists them"
    content = [_table(table, table.title, LISTED), *((E.p(more),) if left > 0 else ())]
    if len(table.rows) > tables.LISTED:
        content = [E.details(E.summary(f"{len(table.rows)} entries"), *content)]
    return E.section({"aria-labelledby": name}, E.h2({"id": name}, table.title), *note, *content)


def _footer(inputs: Inputs, options: PageOptions, observation: Observation | None) -> Element:
    links = {
        # Relative, so that they work behind a proxy that adds a path prefix.
        f".{options.telemetry_path}": "Metrics",
        "./status.json": "JSON",
        "./-/healthy": "Health",
        "./-/ready": "Readiness",
    }
    if options.runbooks_url:
        links[options.runbooks_url] = "Runbooks"
    if options.node_url and observation:
        for name in _other_members(observation):
            # A host name; of anything else in a name, nothing may end the host in the URL.
            links[options.node_url.replace("NODE", quote(name, safe=""))] = printable(name)
    return E.footer(
        E.nav(
            {"aria-label": "Other pages"},
            E.ul(*(E.li(E.a({"href": link}, name)) for link, name in links.items())),
        ),
        E.p(f"Pacemaker bundle exporter {inputs.identity.version}"),
    )


# ---- Elements from words ----


def _other_members(observation: Observation) -> Iterator[str]:
    """Yield the names of the other nodes that can run an exporter."""
    for node in observation.snapshot.nodes:
        if node.type is NodeType.MEMBER and node.name != observation.local_node:
            yield node.name


def _table(
    table: Table, caption: str, listed: int | None = None, *, compact: bool = False
) -> Element:
    """Return a table with explicit ARIA roles: on narrow screens the CSS shows rows as cards.

    Args:
        table: the table.
        caption: for screen readers.
        listed: how many rows to list; all by default.
        compact: whether cards have as many words in a line as fit, and labels only where needed.

    """
    headers = (E.th({"scope": "col", "role": "columnheader"}, header) for header in table.headers)
    return E.table(
        {"role": "table", **({"class": "compact"} if compact else {})},
        E.caption({"class": "hidden"}, caption),
        E.thead({"role": "rowgroup"}, E.tr({"role": "row"}, *headers)),
        E.tbody({"role": "rowgroup"}, *(_row(row, table.headers) for row in table.rows[:listed])),
    )


def _row(row: Sequence[Cell], headers: Sequence[str]) -> Element:
    first, *rest = zip(headers, row, strict=True)
    return E.tr(
        {"role": "row"},
        E.th({"scope": "row", "role": "rowheader", "data-label": first[0]}, *_sentence(first[1])),
        *(E.td({"role": "cell", "data-label": header}, *_sentence(cell)) for header, cell in rest),
    )


def _sentence(words: Cell) -> Iterator[Element | str]:
    for number, part in enumerate(words):
        if number:
            yield ", "
        yield part.text if part.tone is Tone.PLAIN else _toned(part)


def _toned(words: Words) -> Element:
    return E.span({"class": f"tone {words.tone}"}, words.text)


def _mark(tone: Tone) -> Element:
    """Return the symbol of a tone, hidden from screen readers: the words beside it say the same."""
    return E.span({"class": f"tone {tone}", "aria-hidden": "true"})


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s"


def _ago(inputs: Inputs, time: float) -> str:
    date = utc(time)
    past = age(max(0.0, inputs.time - time))
    return f"{past} ago ({date:%Y-%m-%d %H:%M:%S} UTC)" if date else f"{past} ago"


def _refresh_interval(identity: Identity) -> int:
    return max(LEAST_REFRESH, round(identity.poll_interval))
