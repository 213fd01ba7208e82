"""Overview dashboard: the problems of all clusters and bundles, and how long they have lasted."""

from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, prometheus, stat, statetimeline, table
from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from exporter.cluster.agents import ADDRESS_AGENTS
from exporter.judgement.facts import MANY_OF_REMOTE_NODES, MANY_REMOTE_NODES
from grafana import palette
from grafana.parts import (
    BUNDLE,
    BUNDLE_STATES,
    CHOSEN,
    CLUSTER,
    CRITICAL,
    DEGRADED,
    GOOD_AT_ZERO,
    NODE_LOST,
    NOT_SEEN,
    OURS,
    OVERVIEW,
    REDUCED,
    WARN_ABOVE_ZERO,
    YES_IS_GOOD,
    Column,
    Word,
    alerts,
    big,
    bundle_state,
    bundle_states,
    color_of_all,
    counts,
    dashboard,
    leads,
    linked,
    listing,
    now,
    query,
    rows,
    spaced,
    steps,
    timeline,
    variable,
    words,
)

TILES = 7
"""The number of problems that have tiles, so that they stay readable. One more counts the rest."""
_NAMED = 2
"""The number of bundles in the same state, or of addresses, of a cluster that have own tiles."""
HERE = 'cluster=~"$cluster"'
STATE = bundle_states(HERE)
IS_DOWN, IS_DEGRADED, IN_TROUBLE = (
    f"max by (cluster, bundle) ({bundle_state(state, HERE)}) == 1"
    for state in ("down", "degraded", "degraded|down")
)
SINCE = f"cluster_bundle:pacemaker_bundle_degraded_since_timestamp_seconds:min{{{HERE}}}"
UNSEEN = f"cluster:pacemaker_view_lost_since_timestamp_seconds:min{{{HERE}}}"

ONLINE = f"cluster:pacemaker_members_online:min{{{HERE}}}"
MEMBERS = f"cluster:pacemaker_members:max{{{HERE}}}"


def _of_other_kinds(kinds: str) -> str:
    return f"""
      max by (cluster, kind) (
        pacemaker_problems{{{HERE}, severity="critical", kind!~"{kinds}"}} {CHOSEN}
      )
    """


_JUDGED_HERE = "bundle_degraded|bundle_down|node_unclean|remote_node_offline|remote_node_unclean"
"""Kinds of problems that have states or tiles of their own."""
OTHER = _of_other_kinds(_JUDGED_HERE)
"""Numbers of critical problems, except bundles in trouble and lost nodes."""
NAMELESS = _of_other_kinds(f"{_JUDGED_HERE}|address_down")
"""Those whose subjects have no tiles."""

REMOTE = f"cluster:pacemaker_remote_nodes:count{{{HERE}}}"
REMOTE_LOST = f"count by (cluster) (cluster_node:pacemaker_lost_remote_node_unclean:max{{{HERE}}})"
MANY_LOST = f"(({REMOTE_LOST} >= {MANY_REMOTE_NODES}) >= {REMOTE} / {1 / MANY_OF_REMOTE_NODES:g})"
"""At least a fifth of a cluster's remote nodes, such as a rack: PacemakerManyRemoteNodesLost."""
FEW_LOST = f"({REMOTE_LOST} unless {MANY_LOST})"

_ADDRESS = f'{HERE}, agent=~"{"|".join(ADDRESS_AGENTS)}"'
ADDRESS_DOWN = f"""
    max by (cluster, resource) (
      pacemaker_resource_condition{{{_ADDRESS}, condition="down"}}
      unless on (cluster, instance, resource)
      (
        pacemaker_resource_condition{{{_ADDRESS}, condition=~"maintenance|pending|unmanaged"}}
        unless on (cluster, instance, resource)
        pacemaker_resource_condition{{{_ADDRESS}, condition=~"blocked|failed"}}
      )
      {CHOSEN}
    )
"""
"""Virtual addresses that are down, except those that Pacemaker is starting or leaves alone."""

CLUSTER_STATES: tuple[Word, ...] = (
    *BUNDLE_STATES,
    (NODE_LOST, "node lost", palette.WARNING),
    (CRITICAL, "critical", palette.CRITICAL),
    (NOT_SEEN, "not seen", palette.CRITICAL),
)
CLUSTER_STATE = f"""
    max by (cluster) (
      {STATE}
      or
      (cluster:pacemaker_view_trusted:sum{{{HERE}}} == 0) + {NOT_SEEN}
      or
      {OTHER} * 0 + {CRITICAL}
      or
      {MANY_LOST} * 0 + {CRITICAL}
      or
      {FEW_LOST} * 0 + {NODE_LOST}
      or
      ({ONLINE} < {MEMBERS}) * 0 + {NODE_LOST}
      or
      cluster:pacemaker_view_trusted:sum{{{HERE}}} * 0
    )
"""
"""State of a cluster: not seen without a trusted view; otherwise the worst of the states of its
bundles, `critical` for other critical problems, and `node lost`."""

READY, EXPECTED, PROMOTED, PROMOTED_EXPECTED = (
    f"cluster_bundle:pacemaker_bundle_{name}{{{HERE}}}"
    for name in (
        "replicas_ready:min",
        "replicas_expected:max",
        "replicas_promoted_ready:min",
        "replicas_promoted_expected:max",
    )
)


def _labelled(metric: str, label: str, by: str = "cluster, bundle") -> str:
    """Turn the value of a metric into a label, so that a legend can contain it."""
    return f'count_values by ({by}) ("{label}", {metric})'


def _since(condition: str, have: str, want: str, what: str) -> str:
    """Query for how many seconds bundles have been in trouble, with the counts in labels."""
    return f"""
      label_replace(
        (time() - {SINCE} and {condition})
        * on (cluster, bundle) group_left (have) {_labelled(have, "have")}
        * on (cluster, bundle) group_left (want) {_labelled(want, "want")},
        "what", "{what}", "", ""
      )
    """


def _many(each: str) -> str:
    """Query the number for clusters with so many that they share a tile."""
    return f"count by (cluster) ({each}) > {_NAMED}"


def _addresses_down() -> str:
    """Query for how many seconds addresses have been down, if their alert is pending or firing."""
    since = f'ALERTS_FOR_STATE{{alertname="PacemakerVirtualIPDown", {HERE}}}'
    return f"""
      (
        time() - min by (cluster, resource) ({since}) and on (cluster, resource) {ADDRESS_DOWN}
        or on (cluster, resource)
        {ADDRESS_DOWN} * NaN
      )
    """


def _remote_lost(condition: str, which: str) -> str:
    """Query for how many seconds remote nodes have been lost, with the counts in labels."""
    since = f"cluster_node:pacemaker_remote_node_lost_since_timestamp_seconds:min{{{HERE}}}"
    return f"""
      (time() - quantile by (cluster) ({which}, {since}))
      * on (cluster) group_left (have) {_labelled(condition, "have", "cluster")}
      * on (cluster) group_left (want) {_labelled(REMOTE, "want", "cluster")}
    """


@dataclass(frozen=True)
class _Tiles:
    """A kind of tiles in the panel of problems."""

    expr: str
    legend: str
    condition: str
    """Query of one series for each tile."""
    links: tuple[str, ...] = ("cluster",)
    """Labels that select what the linked dashboard shows."""
    uid: str = CLUSTER
    color: str = palette.CRITICAL
    unit: str = "dtdurations"

    @property
    def number(self) -> str:
        return f"(count({self.condition}) or vector(0))"


def _problem_tiles() -> list[_Tiles]:
    """Return the tiles, the most serious first."""
    lost = f"""
      (time() - cluster:pacemaker_member_lost_since_timestamp_seconds:min{{{HERE}}})
      * on (cluster) group_left (have) {_labelled(ONLINE, "have", "cluster")}
      * on (cluster) group_left (want) {_labelled(MEMBERS, "want", "cluster")}
    """
    where, counted = "{{cluster}} {{bundle}}", "{{have}} of {{want}} {{what}}"
    is_down = f"""
      {_since(f"{READY} == 0 and {IS_DOWN}", READY, EXPECTED, "ready")}
      or
      {_since(f"{READY} > 0 and {IS_DOWN}", PROMOTED, PROMOTED_EXPECTED, "promoted")}
    """
    only_degraded = f"({IS_DEGRADED} unless {IS_DOWN})"
    few_ready = f"({READY} < {EXPECTED})"
    is_degraded = f"""
      {_since(f"{few_ready} and {only_degraded}", READY, EXPECTED, "ready")}
      or
      {_since(f"{only_degraded} unless {few_ready}", PROMOTED, PROMOTED_EXPECTED, "promoted")}
    """
    remote = "{{cluster}}: {{have}} of {{want}} remote nodes lost"
    return [
        _Tiles(f"time() - {UNSEEN}", "{{cluster}} NOT SEEN: no trusted view", UNSEEN),
        *_named(is_down, IS_DOWN, f"{where} DOWN: {counted}", "bundles DOWN", "bundle"),
        *_named(
            is_degraded,
            only_degraded,
            f"{where} DEGRADED: {counted}",
            "bundles DEGRADED",
            "bundle",
        ),
        *_named(
            _addresses_down(),
            ADDRESS_DOWN,
            "{{cluster}} {{resource}} DOWN",
            "addresses DOWN",
            "resource",
        ),
        # A node that was lost long ago does not count as the beginning.
        _Tiles(_remote_lost(MANY_LOST, "0.5"), remote, MANY_LOST),
        _Tiles(spaced(NAMELESS, "kind"), "{{cluster}}: {{kind}}", NAMELESS, unit="none"),
        _Tiles(
            lost,
            "{{cluster}}: {{have}} of {{want}} members online",
            f"{ONLINE} < {MEMBERS}",
            color=palette.WARNING,
        ),
        _Tiles(_remote_lost(FEW_LOST, "0"), remote, FEW_LOST, color=palette.WARNING),
    ]


def _named(since: str, condition: str, legend: str, together: str, label: str) -> list[_Tiles]:
    """Return a tile for each subject, and one for each cluster that has too many of them.

    So many bundles in trouble do not hide an address that is down.
    """
    many = _many(condition)
    oldest = f"max by (cluster) ({since}) * on (cluster) group_left (have)"
    to_bundle = label == "bundle"
    return [
        _Tiles(
            f"({since}) unless on (cluster) {many}",
            legend,
            f"({condition}) unless on (cluster) {many}",
            ("cluster", "bundle") if to_bundle else ("cluster",),
            BUNDLE if to_bundle else CLUSTER,
        ),
        _Tiles(
            f"{oldest} {_labelled(many, 'have', 'cluster')}",
            f"{{{{cluster}}}}: {{{{have}}}} {together}",
            many,
        ),
    ]


def _what_is_wrong() -> stat.Panel:
    tiles = dict(zip("ABCDEFGHIJK", _problem_tiles(), strict=True))
    queries, room = [], f"vector({TILES})"
    for ref, kind in tiles.items():
        worst = f"topk(scalar({room}), {linked(kind.expr, *kind.links)})"
        queries.append(now(worst, kind.legend, ref))
        room = f"{room} - {kind.number}"
    critical, every = (
        " + ".join(kind.number for kind in tiles.values() if kind.color in colors)
        for colors in ({palette.CRITICAL}, {palette.CRITICAL, palette.WARNING})
    )
    others, more = f"({every} - {TILES} > 0)", "more problems: see Clusters below"
    nothing = f"(count({STATE}) unless on () {CLUSTER_STATE} >= {NODE_LOST}) * 0"
    panel = big(
        "What is wrong, and for how long",
        "Vermillion: clusters without a trusted view, bundles that are down or degraded, virtual"
        " addresses that are down, clusters that lost a fifth of their remote nodes and at least"
        " three, and other critical problems. Orange: clusters that lost members or fewer remote"
        " nodes. The time shows how long a problem has lasted; other critical problems have the"
        f" number of their nodes, bundles or resources. Shows at most {TILES} problems, the worst"
        f" and oldest, and how many others there are. More than {_NAMED} bundles or addresses of a"
        " cluster are one problem. Each links to its dashboard.",
        (24, 7),
        *queries,
        now(f"{others} and {critical} > {TILES}", more, "L"),
        now(f"{others} unless {critical} > {TILES}", more, "M"),
        now(nothing, "No bundle, address, node or cluster is in trouble", "N"),
        unit="dtdurations",
        empty="No bundles: does Prometheus scrape exporters and load the recording rules?",
        text=options.BigValueTextMode.VALUE_AND_NAME,
    ).text(common.VizTextDisplayOptions().title_size(25).value_size(40))
    unknown = model.SpecialValueMap(
        model.DashboardSpecialValueMapOptions(
            match=model.SpecialValueMatch.NA_N,
            result=model.ValueMappingResult(text="now", index=0),
        )
    )
    for ref, kind in tiles.items():
        properties = [
            color_of_all(kind.color),
            leads(kind.uid),
            model.DynamicConfigValue("unit", kind.unit),
            model.DynamicConfigValue("mappings", [unknown]),
        ]
        panel = panel.override_by_query(ref, properties)
    number = model.DynamicConfigValue("unit", "none")
    for ref, color in ("L", palette.CRITICAL), ("M", palette.WARNING):
        panel = panel.override_by_query(ref, [number, color_of_all(color)])
    well = model.DynamicConfigValue("mappings", [words([(0, "All is well", palette.WELL)])])
    return panel.override_by_query("N", [well])


def _sum(expr: str) -> str:
    return f"sum({expr})"


def _trouble(state: str) -> str:
    """Query how many are in trouble, plus 1000 if one of these is critical."""
    return f"sum({state} >= bool {NODE_LOST}) + 1000 * max({state} >= bool {CRITICAL})"


def _firing(severity: str) -> str:
    which = f'alertname=~"{OURS}", alertstate="firing", severity="{severity}", {HERE}'
    return f"count(ALERTS{{{which}}}) or vector(0)"


def _age() -> str:
    oldest = f"cluster:pacemaker_exporter_snapshot_timestamp_seconds:min{{{HERE}}}"
    return f"max(time() - {oldest})"


def _tiles() -> list[stat.Panel]:
    size = (4, 3)
    return [
        counts(
            "Clusters in trouble",
            "Clusters with a critical problem, a lost node or no trusted view, of all clusters.",
            size,
            have=_sum(f"{CLUSTER_STATE} >= bool {NODE_LOST}"),
            want=f"count({CLUSTER_STATE})",
            bad=_trouble(CLUSTER_STATE),
        ),
        counts(
            "Bundles in trouble",
            "Bundles that are degraded or down, of all bundles.",
            size,
            have=_sum(f"{STATE} >= bool {DEGRADED}"),
            want=f"count({STATE})",
            bad=_trouble(STATE),
        ),
        big(
            "Critical alerts",
            "Firing alerts that page somebody.",
            size,
            now(_firing("critical")),
            colors=GOOD_AT_ZERO,
        ),
        big(
            "Warnings",
            "Firing alerts that open a ticket.",
            size,
            now(_firing("warning")),
            colors=WARN_ABOVE_ZERO,
        ),
        counts(
            "Exporters answering",
            "Exporters that Prometheus can scrape, of all exporters.",
            size,
            have=_sum(f"cluster:pacemaker_exporters_up:sum{{{HERE}}}"),
            want=_sum(f"cluster:pacemaker_exporters:count{{{HERE}}}"),
        ),
        big(
            "Oldest snapshot",
            "Age of the oldest crm_mon output that an exporter shows. By default, exporters poll"
            " every 10 seconds and stop showing data after 150 seconds.",
            size,
            now(_age()),
            unit="dtdurations",
            colors=steps((None, palette.WELL), *_AGES[1:]),
            empty="no data",
        ),
    ]


def build() -> board.Dashboard:
    """Build the dashboard. It fits a screen of 1920 by 1080 pixels."""
    made = dashboard(
        OVERVIEW,
        "Pacemaker / Bundles overview",
        "Problems with the bundles of all clusters, and how long they have lasted.",
        [
            variable(
                "cluster",
                "Cluster",
                "cluster:pacemaker_exporters:count",
                "Clusters to show: values of the target label cluster.",
                several=True,
            )
        ],
    ).with_panel(_what_is_wrong())
    for tile in _tiles():
        made = made.with_panel(tile)
    return (
        made.with_panel(_clusters())
        .with_panel(alerts((11, 8), HERE, cluster=True))
        .with_panel(_history())
    )


_ANY = ((None, palette.NOTHING), (1, palette.WARNING))
_BAD = ((None, palette.NOTHING), (1, palette.CRITICAL))
_AGES = ((None, palette.NOTHING), (75, palette.WARNING), (150, palette.CRITICAL))


def _clusters() -> table.Panel:
    def total(metric: str, ref: str) -> prometheus.Dataquery:
        return rows(f"sum by (cluster) (cluster:pacemaker_{metric}{{{HERE}}})", ref)

    columns = [
        Column("cluster", "Cluster", narrow=120, uid=CLUSTER),
        Column("Value #A", "State", mapped=CLUSTER_STATES, width=90),
        Column("Value #B", "Bundles", width=65),
        Column("Value #C", "in trouble", width=75, limits=_BAD),
        Column("Value #D", "reduced", width=70, limits=_ANY),
        Column("Value #E", "Quorum", mapped=YES_IS_GOOD, width=65),
        Column("Value #F", "Members", width=75),
        Column("Value #G", "online", width=60),
        Column("Value #H", "Exporters", width=80),
        Column("Value #I", "trusted", width=65),
        Column("Value #J", "Data age", unit="s", width=80, limits=_AGES),
    ]
    age = f"time() - cluster:pacemaker_exporter_snapshot_timestamp_seconds:min{{{HERE}}}"
    return listing(
        "Clusters",
        "All clusters, the worst first: bundles, those that are degraded or down, those that are"
        " reduced on purpose, quorum, members, members that are online and clean, exporters,"
        " exporters with a trusted view, and the age of the oldest data. Critical: a problem other"
        " than a bundle, for example an address that is down, or a fifth of the remote nodes lost.",
        (13, 8),
        columns,
        rows(linked(CLUSTER_STATE, "cluster"), "A"),
        rows(linked(f"count by (cluster) ({STATE})", "cluster"), "B"),
        rows(linked(f"sum by (cluster) ({STATE} >= bool {DEGRADED})", "cluster"), "C"),
        rows(linked(f"sum by (cluster) ({STATE} == bool {REDUCED})", "cluster"), "D"),
        total("cluster_quorate:max", "E"),
        total("members:max", "F"),
        total("members_online:min", "G"),
        total("exporters:count", "H"),
        total("view_trusted:sum", "I"),
        rows(f"max by (cluster) ({age})", "J"),
        empty="No clusters: does Prometheus scrape exporters and load the recording rules?",
        sort=[("State", True)],
    )


def _weight(function: str) -> str:
    """Query a function of the time range for each bundle: down counts twice, degraded once."""
    of_state = (
        f"{times} * {function}_over_time({bundle_state(state, HERE)}[$__range] @ end())"
        for state, times in (("down", 2), ("degraded", 1))
    )
    return f"sum by (cluster, bundle) ({' or '.join(of_state)})"


def _history() -> statetimeline.Panel:
    at_last = f"{_weight('last')} > 0"
    ever, mostly = f"{_weight('max')} > 0", _weight("avg")
    still = f"topk(6, ({at_last}) + {mostly})"
    no_more = f"topk(4, ({ever}) + {mostly} unless {at_last})"
    named = linked(f'label_join({STATE}, "at", " ", "cluster", "bundle")', "cluster", "bundle")
    panel = timeline(
        "Bundles in trouble in this time range",
        "When bundles were degraded or down. Top: at most six bundles that are still in trouble."
        " Bottom: at most four bundles that have recovered. The panel prefers the worst bundles.",
        (24, 7),
        query(f"{named} and on (cluster, bundle) {still}", "{{at}}", "A"),
        query(f"{named} and on (cluster, bundle) {no_more}", "{{at}}", "B"),
        mapped=BUNDLE_STATES,
        empty="No bundle was in trouble in this time range",
    )
    for ref in "AB":
        panel = panel.override_by_query(ref, [leads(BUNDLE)])
    return panel
