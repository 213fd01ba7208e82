"""Bundles overview: is anything wrong, where, and since when; of all clusters."""

from grafana_foundation_sdk.builders import common, prometheus, stat, statetimeline, table
from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from grafana import palette
from grafana.parts import (
    BUNDLE,
    BUNDLE_STATES,
    CLUSTER,
    GOOD_AT_ZERO,
    OVERVIEW,
    WARN_ABOVE_ZERO,
    YES_IS_GOOD,
    Column,
    Word,
    alerts,
    big,
    color_of_all,
    counts,
    dashboard,
    leads,
    linked,
    listing,
    now,
    query,
    rows,
    steps,
    timeline,
    variable,
    words,
)

TILES = 8
"""Of what is wrong; more could not be read."""
HERE = 'cluster=~"$cluster"'
STATE = f"cluster_bundle:pacemaker_bundle_state:max{{{HERE}}}"
SINCE = f"cluster_bundle:pacemaker_bundle_degraded_since_timestamp_seconds:min{{{HERE}}}"
UNSEEN = f"cluster:pacemaker_view_lost_since_timestamp_seconds:min{{{HERE}}}"

ONLINE = f"cluster:pacemaker_members_online:min{{{HERE}}}"
MEMBERS = f"cluster:pacemaker_members:max{{{HERE}}}"
CLUSTER_STATES: tuple[Word, ...] = (*BUNDLE_STATES, (4, "not seen", palette.CRITICAL))
CLUSTER_STATE = f"""
    max by (cluster) (
      {STATE}
      or
      (cluster:pacemaker_view_trusted:sum{{{HERE}}} == 0) + 4
      or
      ({ONLINE} < {MEMBERS}) * 0 + 2
      or
      cluster:pacemaker_view_trusted:sum{{{HERE}}} * 0
    )
"""
"""As its worst bundle; degraded also while a member is lost; not seen when no view is trusted."""

READY, REPLICAS, PROMOTED, EXPECTED, MISSING = (
    f"cluster_bundle:pacemaker_bundle_{name}{{{HERE}}}"
    for name in (
        "replicas_ready:min",
        "replicas:max",
        "replicas_promoted_ready:min",
        "replicas_promoted_expected:max",
        "replicas_missing:max",
    )
)


def _labelled(metric: str, label: str, by: str = "cluster, bundle") -> str:
    """Turn the value of a metric into a label, so that it can be part of a name."""
    return f'count_values by ({by}) ("{label}", {metric})'


def _since(condition: str, have: str, want: str, what: str) -> str:
    """Ask for how many seconds bundles have been in trouble; what they lack is in labels."""
    return f"""
      label_replace(
        (time() - {SINCE} and {condition})
        * on (cluster, bundle) group_left (have) {_labelled(have, "have")}
        * on (cluster, bundle) group_left (want) {_labelled(want, "want")},
        "what", "{what}", "", ""
      )
    """


def _worst(expr: str, *labels: str, worse: str = "") -> str:
    """Narrow tiles to those that there is room for beside the worse ones."""
    room = f"{TILES} - scalar(count({worse}) or vector(0))" if worse else f"{TILES}"
    return f"topk({room}, {linked(expr, *labels)})"


def _what_is_wrong() -> stat.Panel:
    lost = f"""
      (time() - cluster:pacemaker_member_lost_since_timestamp_seconds:min{{{HERE}}})
      * on (cluster) group_left (have) {_labelled(ONLINE, "have", "cluster")}
      * on (cluster) group_left (want) {_labelled(MEMBERS, "want", "cluster")}
    """
    nothing = f"(count({STATE}) unless on () {CLUSTER_STATE} >= 2) * 0"
    where, counted = "{{cluster}} {{bundle}}", "{{have}} of {{want}} {{what}}"
    down, degraded = f"{STATE} == 3", f"{STATE} == 2"
    is_down = f"""
      {_since(f"{READY} == 0 and {down}", READY, REPLICAS, "ready")}
      or
      {_since(f"{READY} > 0 and {down}", PROMOTED, EXPECTED, "promoted")}
    """
    is_degraded = f"""
      {_since(f"{MISSING} > 0 and {degraded}", READY, REPLICAS, "ready")}
      or
      {_since(f"{MISSING} == 0 and {degraded}", PROMOTED, EXPECTED, "promoted")}
    """
    bundle = ("cluster", "bundle")
    panel = big(
        "What is wrong, and for how long",
        "Clusters of which no exporter has a trusted view and bundles that are down (vermillion),"
        " then bundles that are degraded and clusters that lost members (orange). The time is for"
        " how long that has been so. Eight at most, the worst that have waited longest; each leads"
        " to its own dashboard.",
        (24, 7),
        now(_worst(f"time() - {UNSEEN}", "cluster"), "{{cluster}} NOT SEEN: no trusted view", "A"),
        now(_worst(is_down, *bundle, worse=UNSEEN), f"{where} DOWN: {counted}", "B"),
        now(
            _worst(is_degraded, *bundle, worse=f"{UNSEEN} or {STATE} >= 3"),
            f"{where}: {counted}",
            "C",
        ),
        now(
            _worst(lost, "cluster", worse=f"{UNSEEN} or {STATE} >= 2"),
            "{{cluster}}: {{have}} of {{want}} members online",
            "D",
        ),
        now(nothing, "No bundle is degraded, every cluster is seen, no member lost", "E"),
        unit="dtdurations",
        empty="No bundle is seen: is an exporter scraped, are the recording rules loaded?",
        text=options.BigValueTextMode.VALUE_AND_NAME,
    ).text(common.VizTextDisplayOptions().title_size(25).value_size(40))
    for ref, color, uid in (
        ("A", palette.CRITICAL, CLUSTER),
        ("B", palette.CRITICAL, BUNDLE),
        ("C", palette.WARNING, BUNDLE),
        ("D", palette.WARNING, CLUSTER),
    ):
        panel = panel.override_by_query(ref, [color_of_all(color), leads(uid)])
    well = model.DynamicConfigValue("mappings", [words([(0, "All is well", palette.WELL)])])
    return panel.override_by_query("E", [well])


def _sum(expr: str) -> str:
    return f"sum({expr})"


def _trouble(state: str) -> str:
    """Ask how many are in trouble, and a thousand more where one is worse than degraded."""
    return f"sum({state} >= bool 2) + 1000 * max({state} >= bool 3)"


def _firing(severity: str) -> str:
    which = f'alertname=~"Pacemaker.*", alertstate="firing", severity="{severity}", {HERE}'
    return f"count(ALERTS{{{which}}}) or vector(0)"


def _age() -> str:
    oldest = f"cluster:pacemaker_exporter_snapshot_timestamp_seconds:min{{{HERE}}}"
    return f"max(time() - {oldest})"


def _tiles() -> list[stat.Panel]:
    size = (4, 3)
    return [
        counts(
            "Clusters in trouble",
            "Clusters with a degraded bundle or a missing member, or not seen at all; of how many.",
            size,
            have=_sum(f"{CLUSTER_STATE} >= bool 2"),
            want=f"count({CLUSTER_STATE})",
            bad=_trouble(CLUSTER_STATE),
        ),
        counts(
            "Bundles in trouble",
            "Bundles that are degraded or down, of how many that are seen.",
            size,
            have=_sum(f"{STATE} >= bool 2"),
            want=f"count({STATE})",
            bad=_trouble(STATE),
        ),
        big(
            "Critical alerts",
            "Alerts that fire and are to wake somebody.",
            size,
            now(_firing("critical")),
            colors=GOOD_AT_ZERO,
        ),
        big(
            "Warnings",
            "Alerts that fire and are to be read in the morning.",
            size,
            now(_firing("warning")),
            colors=WARN_ABOVE_ZERO,
        ),
        counts(
            "Exporters answering",
            "Exporters that Prometheus can scrape, of how many.",
            size,
            have=_sum(f"cluster:pacemaker_exporters_up:sum{{{HERE}}}"),
            want=_sum(f"cluster:pacemaker_exporters:count{{{HERE}}}"),
        ),
        big(
            "Oldest snapshot",
            "Age of the oldest answer of crm_mon that an exporter has. Polls are ten seconds apart"
            " and data is withdrawn at 150, unless flags say otherwise.",
            size,
            now(_age()),
            unit="dtdurations",
            colors=steps((None, palette.WELL), *_AGES[1:]),
            empty="none",
        ),
    ]


def build() -> board.Dashboard:
    """Put it together; it fits a screen of 1920 by 1080."""
    made = dashboard(
        OVERVIEW,
        "Pacemaker / Bundles overview",
        "Whether anything is wrong with the bundles of any cluster, where, and since when.",
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
_AGES = ((None, palette.NOTHING), (75, palette.WARNING), (150, palette.CRITICAL))


def _clusters() -> table.Panel:
    def total(metric: str, ref: str) -> prometheus.Dataquery:
        return rows(f"sum by (cluster) (cluster:pacemaker_{metric}{{{HERE}}})", ref)

    columns = [
        Column("cluster", "Cluster", narrow=110, uid=CLUSTER),
        Column("Value #A", "State", mapped=CLUSTER_STATES, width=100),
        Column("Value #B", "Bundles", width=70),
        Column("Value #C", "in trouble", width=85, limits=_ANY),
        Column("Value #D", "Quorum", mapped=YES_IS_GOOD, width=75),
        Column("Value #E", "Members", width=80),
        Column("Value #F", "online", width=70),
        Column("Value #G", "Exporters", width=85),
        Column("Value #H", "trusted", width=75),
        Column("Value #I", "Data age", unit="s", width=85, limits=_AGES),
    ]
    age = f"time() - cluster:pacemaker_exporter_snapshot_timestamp_seconds:min{{{HERE}}}"
    return listing(
        "Clusters",
        "Each cluster, the worst first: its bundles, whether its nodes have quorum, its members and"
        " how many are online and clean, its exporters and how many have a trusted view, and the"
        " age of the oldest of their data.",
        (13, 8),
        columns,
        rows(linked(CLUSTER_STATE, "cluster"), "A"),
        rows(linked(f"count by (cluster) ({STATE})", "cluster"), "B"),
        rows(linked(f"sum by (cluster) ({STATE} >= bool 2)", "cluster"), "C"),
        total("cluster_quorate:max", "D"),
        total("members:max", "E"),
        total("members_online:min", "F"),
        total("exporters:count", "G"),
        total("view_trusted:sum", "H"),
        rows(f"max by (cluster) ({age})", "I"),
        empty="No cluster is seen: is an exporter scraped, are the recording rules loaded?",
        sort=("State", True),
    )


def _history() -> statetimeline.Panel:
    ever, at_last, mostly = (
        f"{function}_over_time({STATE}[$__range] @ end())" for function in ("max", "last", "avg")
    )
    still = f"topk(6, ({at_last} >= 2) + {mostly})"
    no_more = f"topk(4, ({ever} >= 2) + {mostly} unless {at_last} >= 2)"
    named = linked(f'label_join({STATE}, "at", " ", "cluster", "bundle")', "cluster", "bundle")
    panel = timeline(
        "Bundles that were in trouble in this time",
        "When bundles were degraded or down in the time shown: above, those that still are; below,"
        " those that are no more. Six and four at most, those that were worst.",
        (24, 7),
        query(f"{named} and on (cluster, bundle) {still}", "{{at}}", "A"),
        query(f"{named} and on (cluster, bundle) {no_more}", "{{at}}", "B"),
        mapped=BUNDLE_STATES,
        empty="No bundle was seen in trouble in this time",
    )
    for ref in "AB":
        panel = panel.override_by_query(ref, [leads(BUNDLE)])
    return panel
