"""The page for people: what is wrong, and then the cluster, from what the poller published.

Built as a tree of elements with the parser that reads crm_mon's XML: a name can become text or the
value of an attribute, never markup, whatever is in it.
"""

import asyncio
import base64
import functools
import gzip
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias

from lxml import etree
from lxml.builder import E

from exporter import tables
from exporter.document import Sight, utc
from exporter.errors import Outcome
from exporter.explain import (
    STATUS,
    Finding,
    Problem,
    Subject,
    changes_cluster,
    failed_poll,
    grave,
    told_once,
)
from exporter.exposition import GZIP_LEVEL
from exporter.model import Bundle, Instance, Resource, Snapshot
from exporter.state import Identity, State, View
from exporter.tables import Cell, Table, Tone, Words, age, printable, when
from exporter.threads import own_thread

Element: TypeAlias = etree._Element  # noqa: SLF001 - lxml has no other name for it

OPEN_BUNDLES = 12
"""With more bundles than these, those that are well are folded."""
LISTED = 20
"""Problems, failures and the like that are shown at once; the rest is folded, or counted."""
NARROW_COLUMNS = 6
"""A table with more columns gets the whole width."""
LEAST_REFRESH = 5
"""Seconds between refreshes at least, however often is polled."""

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
class Surroundings:
    """What the page says and links to beside the cluster."""

    telemetry_path: str
    runbooks_url: str = ""
    """Empty for no link."""
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """What the page is a function of."""

    view: View
    time: float
    """Seconds since the epoch."""
    monotonic: float

    @property
    def state(self) -> State:
        """What the poller published last."""
        return self.view.state

    @property
    def identity(self) -> Identity:
        """What does not change."""
        return self.view.identity

    def serves(self, asked: "Moment", now: "Moment") -> bool:
        """Whether its page will do for one asked for then: the same state, no second older."""
        same = self.state is now.state and self.view.fresh is now.view.fresh
        return same and int(self.monotonic) >= int(asked.monotonic)


@dataclass(frozen=True, slots=True)
class Page:
    """A page, for those who take it compressed and for others."""

    plain: bytes
    compressed: bytes


class StatusPage:
    """Renders the page aside from the event loop, at most once a second and for each state."""

    def __init__(self, surroundings: Surroundings) -> None:
        """Args: what does not change."""
        self._surroundings = surroundings
        self._made: dict[bool, tuple[Moment, Page]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._thread = own_thread("status page")

    async def html(self, look: Callable[[], Moment], *, refreshing: bool) -> Page:
        """Return the page as it is now; refreshing, it asks the browser to come again.

        However slow it is to make, those who wait for it share the next one.
        """
        asked = look()
        async with self._one_at_a_time:
            now, made = look(), self._made.get(refreshing)
            if made is None or not made[0].serves(asked, now):
                page = await asyncio.get_running_loop().run_in_executor(
                    self._thread,
                    functools.partial(_page, now, self._surroundings, refreshing=refreshing),
                )
                made = self._made[refreshing] = now, page
            return made[1]


def _page(moment: Moment, surroundings: Surroundings, *, refreshing: bool) -> Page:
    plain = _render(moment, surroundings, refreshing=refreshing)
    return Page(plain, gzip.compress(plain, GZIP_LEVEL))


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The first thing that anybody wants to know."""

    tone: Tone
    headline: str
    texts: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


def _render(moment: Moment, surroundings: Surroundings, *, refreshing: bool) -> bytes:
    sight = _sight(moment, surroundings)
    if sight:
        found = sight.problems
        verdict = _of_cluster(sight, found, past=_is_past(moment))
        content = _cluster(sight, found)
        problems = [_problem(*listed, sight.snapshot) for listed in told_once(found)]
    else:
        verdict, content, problems = _of_nothing(moment), iter(()), []
    name = _cluster_name(sight)
    page = E.html(
        {"lang": "en"},
        _head(f"{verdict.headline} - {name}", moment, refreshing=refreshing),
        E.body(
            _header(name, moment, surroundings, refreshing=refreshing),
            E.main(
                *_stale(moment, sight),
                _verdict(verdict, problems),
                _facts(moment, sight),
                *content,
            ),
            _footer(moment, surroundings),
        ),
    )
    text: str = etree.tostring(page, method="html", encoding="unicode", doctype="<!DOCTYPE html>")
    return text.encode()


def _sight(moment: Moment, surroundings: Surroundings) -> Sight | None:
    sighting = moment.view.sighting
    if sighting is None:
        return None
    seen = sighting.observation
    return Sight(
        seen.snapshot,
        seen.configuration,
        seen.local_node,
        "demo" if surroundings.demo else "cluster",
        # Its age by the clock that nobody sets.
        now=sighting.time + _age_of_data(moment, sighting.monotonic),
        taken=sighting.time,
    )


def _age_of_data(moment: Moment, monotonic: float) -> float:
    return max(0.0, moment.monotonic - monotonic)


def _cluster_name(sight: Sight | None) -> str:
    configuration = sight.configuration if sight else None
    name = printable(configuration.cluster_name) if configuration else ""
    return f"Cluster {name}" if name else "Pacemaker cluster"


# ---- What is the matter ----


def _of_nothing(moment: Moment) -> _Verdict:
    """Say why nothing of the cluster is shown."""
    state = moment.state
    if state.last_outcome is None:
        return _Verdict(
            Tone.TRANSITION,
            "No data yet",
            ("The first poll has not ended. The cluster is shown here as soon as it has.",),
        )
    finding = _why_no_data(state.last_outcome)
    if state.last_outcome is Outcome.NOT_CONNECTED:
        headline, texts = _capital(finding.text), []
    else:
        headline, texts = "The cluster cannot be seen from here", [_last_poll(finding)]
    if state.snapshot_time is None:
        texts.append("Since the exporter was started, no poll has succeeded.")
    else:
        texts.append(f"The cluster was last seen {_ago(moment, state.snapshot_time)}.")
    if state.sighting is not None:
        texts.append(
            f"What is older than {_seconds(moment.identity.max_age)} (--poll.max-age) is withdrawn,"
            " here and from the metrics, so that nobody takes it for the present."
        )
    texts.append("To see the cluster, look at this page on one of its other nodes.")
    return _Verdict(Tone.FAILED, headline, tuple(texts), finding.commands)


def _why_no_data(outcome: Outcome) -> Finding:
    if outcome is Outcome.SUCCESS:
        return Finding("it succeeded, but the one after it does not end", (STATUS,))
    return failed_poll(outcome)


def _last_poll(finding: Finding) -> str:
    return f"The last poll: {finding.text}."


def _is_past(moment: Moment) -> bool:
    """Whether the last poll failed, so that what is shown is what an earlier one saw."""
    return moment.state.last_outcome not in {None, Outcome.SUCCESS}


def _of_cluster(sight: Sight, found: Sequence[Problem], *, past: bool) -> _Verdict:
    """Say whether anything is wrong, or was, and with what."""
    trusted = sight.snapshot.authoritative
    doubt = () if trusted else ("This view is not to be trusted: what it shows may not be so.",)
    texts = (*doubt, _readiness(sight.snapshot.bundles, past=past))
    verb = "was" if past else "is"
    if not found:
        known = "" if trusted else "known to be "
        well = Tone.STARTED if trusted and not past else Tone.TRANSITION
        return _Verdict(well, f"Nothing {verb} {known}wrong", texts)
    if grave(sight.snapshot, sight.configuration):
        return _Verdict(Tone.FAILED, f"Something {verb} wrong with {_where(found)}", texts)
    look = "Was worth a look" if past else "Worth a look"
    return _Verdict(Tone.TRANSITION, f"{look}: {_where(found)}", texts)


def _readiness(bundles: Sequence[Bundle], *, past: bool) -> str:
    total = sum(len(bundle.replicas) for bundle in bundles)
    ready = sum(replica.ready for bundle in bundles for replica in bundle.replicas)
    if not total:
        return f"There {'were' if past else 'are'} no bundles."
    which = f"All {total}" if ready == total > 1 else f"{ready} of {total}"
    singular, plural = ("was", "were") if past else ("is", "are")
    verb = singular if ready == 1 else plural
    return f"{which} replicas in {_count(len(bundles), 'bundle')} {verb} ready."


def _where(found: Sequence[Problem]) -> str:
    """Name one, count many."""
    by_subject = Counter(problem.subject for problem in found)
    names = {problem.subject: problem.title for problem in found}
    parts = [
        "the cluster itself"
        if subject is Subject.CLUSTER
        else printable(names[subject])
        if count == 1
        else _count(count, subject.value)
        for subject, count in by_subject.items()
    ]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _stale(moment: Moment, sight: Sight | None) -> Iterator[Element]:
    """Yield a warning where the last poll failed, and what an earlier one saw is shown."""
    outcome = moment.state.last_outcome
    if sight is None or outcome is None or not _is_past(moment):
        return
    finding = failed_poll(outcome)
    seen = f"What is shown was seen {when(sight.taken, sight, ' UTC')}"
    yield E.section(
        {"class": "verdict transition", "aria-labelledby": "stale"},
        E.h2(
            {"id": "stale"}, _mark(Tone.TRANSITION), "The last poll failed: this is not the present"
        ),
        E.p(_last_poll(finding)),
        E.p(f"{seen}, and is withdrawn at {_seconds(moment.identity.max_age)}."),
        *_commands(finding.commands),
    )


# ---- The top of the page ----


def _head(title: str, moment: Moment, *, refreshing: bool) -> Element:
    every = {"http-equiv": "refresh", "content": str(_refresh_interval(moment.identity))}
    return E.head(
        E.meta({"charset": "utf-8"}),
        E.title(title),
        E.meta({"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        E.meta({"name": "color-scheme", "content": "light dark"}),
        *((E.meta(every),) if refreshing else ()),
        E.style(_STYLE),
    )


def _banner(surroundings: Surroundings) -> Iterator[Element]:
    if surroundings.demo:
        text = "DEMONSTRATION: this is not a real cluster."
        yield E.p({"class": "banner", "role": "note"}, E.strong(text))


def _header(name: str, moment: Moment, surroundings: Surroundings, *, refreshing: bool) -> Element:
    now = utc(moment.time)
    time = E.time({"datetime": f"{now:%Y-%m-%dT%H:%M:%SZ}"}, f"{now:%H:%M:%S} UTC")
    if refreshing:
        every = _seconds(_refresh_interval(moment.identity))
        link = E.a({"href": "?refresh=off"}, "Stop refreshing")
        told = ("Shown at ", time, f", refreshed every {every}. ", link)
    else:
        link = E.a({"href": "?"}, "Resume refreshing")
        told = ("Shown at ", time, ", not refreshed. ", link)
    return E.header(*_banner(surroundings), E.h1(name), E.p({"class": "refresh"}, *told))


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


def _problem(problem: Problem, commands: Sequence[str], snapshot: Snapshot) -> Element:
    anchor = _anchor(problem, snapshot)
    title = printable(problem.title)
    return E.li(
        E.h3(E.a({"href": f"#{anchor}"}, title) if anchor else title),
        E.ul(*(E.li(printable(text)) for text in problem.texts)),
        *_commands(commands),
    )


def _anchor(problem: Problem, snapshot: Snapshot) -> str:
    """Return the id of where its subject is shown; empty if it is not."""
    if problem.subject is Subject.BUNDLE:
        return f"bundle-{[bundle.id for bundle in snapshot.bundles].index(problem.name)}"
    if problem.subject is Subject.RESOURCE:
        listed = any(i.resource.id == problem.name for i in snapshot.instances)
        return "resources" if listed else ""
    return "nodes" if problem.subject is Subject.NODE else ""


def _commands(commands: Sequence[str]) -> Iterator[Element]:
    if commands:
        yield E.ul({"class": "commands"}, *map(_command, commands))


def _command(command: str) -> Element:
    changes = E.span({"class": "changes"}, "changes the cluster")
    return E.li(E.code(printable(command)), *((" ", changes) if changes_cluster(command) else ()))


def _facts(moment: Moment, sight: Sight | None) -> Element:
    """Say how good this view is."""
    facts = list(_polled(moment))
    if sight:
        cluster = sight.snapshot.cluster
        facts.append(
            ("Data", (Words(f"{age(sight.now - (sight.taken or 0))} old"),), _kept(moment))
        )
        facts.append(("View", (_trust(moment),), _viewpoint(sight)))
        facts.append(("Cluster", tables.conditions(cluster), tables.software(cluster)))
    groups = (
        E.div(E.dt(name), E.dd(*_sentence(state)), E.dd({"class": "faint"}, note))
        for name, state, note in facts
    )
    return E.section(
        {"aria-labelledby": "facts"},
        E.h2({"id": "facts", "class": "hidden"}, "This view"),
        E.dl({"class": "facts"}, *groups),
    )


def _polled(moment: Moment) -> Iterator[tuple[str, Cell, str]]:
    state = moment.state
    if state.last_outcome is None or state.last_poll_time is None:
        yield "Last poll", (Words("none has ended yet", Tone.TRANSITION),), ""
        return
    past = age(max(0.0, moment.time - state.last_poll_time))
    good = state.last_outcome is Outcome.SUCCESS
    how = Words("succeeded", Tone.STARTED) if good else Words("failed", Tone.FAILED)
    took = f"took {state.poll_duration or 0:.1f} s"
    note = took if good else f"{state.last_outcome}, {took}"
    yield "Last poll", (Words(f"{how.text} {past} ago", how.tone),), note


def _kept(moment: Moment) -> str:
    return f"withdrawn when older than {_seconds(moment.identity.max_age)}"


def _trust(moment: Moment) -> Words:
    if moment.view.trusted:
        return Words("trusted", Tone.STARTED)
    return Words("not trusted", Tone.FAILED)


def _viewpoint(sight: Sight) -> str:
    here, dc = printable(sight.local_node), printable(sight.snapshot.cluster.dc_name)
    if not here:
        return "from this node, whose name in the cluster is unknown"
    if here == dc:
        return f"from {here}, the DC"
    return f"from {here}; the DC is {dc}" if dc else f"from {here}; no DC is elected"


# ---- The cluster ----


def _cluster(sight: Sight, found: Sequence[Problem]) -> Iterator[Element]:
    snapshot = sight.snapshot
    yield from _bundles(sight, found)
    if nodes := tables.nodes(sight):
        yield _section("nodes", nodes)
    yield from _resources(snapshot.instances, found)
    for name, table in (
        ("fail-counts", tables.fail_counts(sight)),
        ("failed-actions", tables.failed_actions(sight)),
        ("fencing", tables.fencing(sight)),
        ("left-over", tables.left_over(sight)),
        ("tickets", tables.tickets(snapshot)),
    ):
        if table:
            yield _section(name, table)


def _bundles(sight: Sight, found: Sequence[Problem]) -> Iterator[Element]:
    """Yield the bundles, those with problems first."""
    bundles = sight.snapshot.bundles
    wrong = {problem.name for problem in found if problem.subject is Subject.BUNDLE}
    cards = [
        (bundle.id not in wrong, _bundle(bundle, number, sight, wrong))
        for number, bundle in enumerate(bundles)
    ]
    many = "bundles many" if len(bundles) > OPEN_BUNDLES else "bundles"
    if cards:
        yield E.section(
            {"aria-labelledby": "bundles"},
            E.h2({"id": "bundles"}, "Bundles"),
            E.div({"class": many}, *(card for _, card in sorted(cards, key=lambda c: c[0]))),
        )


def _bundle(bundle: Bundle, number: int, sight: Sight, wrong: set[str]) -> Element:
    unfolded = bundle.id in wrong or len(sight.snapshot.bundles) <= OPEN_BUNDLES
    table = tables.replicas(bundle, sight.snapshot)
    wide = bundle.id in wrong or (table is not None and len(table.headers) > NARROW_COLUMNS)
    state = tables.bundle_state(bundle, sight.configuration)
    return E.details(
        {
            "id": f"bundle-{number}",
            "class": "bundle wide" if wide else "bundle",
            **({"open": "open"} if unfolded else {}),
        },
        E.summary(E.h3(printable(bundle.id)), " ", E.span({"class": "state"}, *_sentence(state))),
        E.p({"class": "faint"}, tables.bundle_kind(bundle)),
        *((_table(table, f"Replicas of {printable(bundle.id)}"),) if table else ()),
    )


def _resources(instances: Sequence[Instance], found: Sequence[Problem]) -> Iterator[Element]:
    """Yield the resources outside bundles: those with problems and addresses, the rest folded."""
    wrong = {problem.name for problem in found if problem.subject is Subject.RESOURCE}
    shown = [i for i in instances if i.resource.id in wrong or _is_address(i.resource)]
    others = tables.resources([i for i in instances if i not in shown])
    parts: list[Element] = []
    if table := tables.resources(shown):
        parts.append(_table(table, "Virtual addresses, and resources that have problems"))
    if others:
        summary = f"{_count(len(others.rows), 'resource')} without problems"
        parts.append(E.details(E.summary(summary), _table(others, "Resources without problems")))
    if parts:
        yield E.section(
            {"aria-labelledby": "resources"},
            E.h2({"id": "resources"}, "Resources outside bundles"),
            *parts,
        )


def _is_address(resource: Resource) -> bool:
    return resource.agent.rpartition(":")[2].lower().startswith("ipaddr")


def _section(name: str, table: Table) -> Element:
    note = ((E.p({"class": "faint"}, f"{_capital(table.note)}"),)) if table.note else ()
    left = len(table.rows) - LISTED if name != "nodes" else 0
    more = f"{left} more: pacemaker-bundle-exporter show prints all"
    return E.section(
        {"aria-labelledby": name},
        E.h2({"id": name}, table.title),
        *note,
        _table(table, table.title, LISTED if left > 0 else len(table.rows)),
        *((E.p(more),) if left > 0 else ()),
    )


def _footer(moment: Moment, surroundings: Surroundings) -> Element:
    links = {
        # Relative, for whoever has a proxy before this that puts it somewhere else.
        f".{surroundings.telemetry_path}": "Metrics",
        "./-/healthy": "Health",
        "./-/ready": "Readiness",
    }
    if surroundings.runbooks_url:
        links[surroundings.runbooks_url] = "Runbooks"
    return E.footer(
        E.nav(
            {"aria-label": "Other pages"},
            E.ul(*(E.li(E.a({"href": link}, name)) for link, name in links.items())),
        ),
        E.p(f"Pacemaker bundle exporter {moment.identity.version}"),
    )


# ---- Words to elements ----


def _table(table: Table, caption: str, listed: int | None = None) -> Element:
    """Lay a table out; its roles are said, as narrow screens show each row as a card."""
    headers = (E.th({"scope": "col", "role": "columnheader"}, header) for header in table.headers)
    return E.table(
        {"role": "table"},
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
    """Return the shape of a tone alone, beside words that say the same."""
    return E.span({"class": f"tone {tone}", "aria-hidden": "true"})


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s"


def _ago(moment: Moment, time: float) -> str:
    told = utc(time)
    past = age(max(0.0, moment.time - time))
    return f"{past} ago ({told:%Y-%m-%d %H:%M:%S} UTC)" if told else f"{past} ago"


def _refresh_interval(identity: Identity) -> int:
    return max(LEAST_REFRESH, round(identity.poll_interval))
