"""One cluster: its nodes, who sees what, what runs outside bundles, and what was done to it."""

from collections.abc import Iterable

from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from grafana import palette
from grafana.parts import (
    BUNDLE,
    BUNDLE_STATES,
    CHOSEN,
    CLUSTER,
    GIVES_UP,
    YES_IS_GOOD,
    YES_IS_NEWS,
    Column,
    Word,
    alerts,
    began,
    big,
    counts,
    dashboard,
    event,
    graph,
    linked,
    listing,
    now,
    or_unseen,
    query,
    rows,
    timeline,
    variable,
)

HERE = 'cluster="$cluster"'

_NODE_STATES: tuple[tuple[str, str, str], ...] = (
    ("online", 'condition="online"', palette.STARTED),
    ("online, the DC", 'condition="dc"', palette.PROMOTED),
    ("standby", 'condition=~"standby|standby_onfail"', palette.STOPPED),
    ("maintenance", 'condition="maintenance"', palette.STOPPED),
    ("on the way", 'condition=~"pending|shutdown"', palette.TRANSITION),
    ("offline", 'condition="online"', palette.FAILED),
    ("UNCLEAN", 'condition="unclean"', palette.FAILED),
)
_OFFLINE = 5

_VIEWS: tuple[Word, ...] = (
    (0, "exporter does not answer", palette.FAILED),
    (1, "poll fails", palette.FAILED),
    (2, "no quorum or no DC", palette.TRANSITION),
    (3, "trusted", palette.STARTED),
    (4, "trusted, the DC", palette.PROMOTED),
)
VIEW = f"""
    up{{job="pacemaker", {HERE}}} * 0
    + on (cluster, instance) group_left ()
    (
      (pacemaker_view_dc{{{HERE}}} == 1) + 3
      or (pacemaker_view_trusted{{{HERE}}} == 1) + 2
      or (pacemaker_up{{{HERE}}} == 1) + 1
      or pacemaker_up{{{HERE}}} + 1
    )
    or
    up{{job="pacemaker", {HERE}}} * 0
"""


def _of(metric: str) -> str:
    return f"max(cluster:pacemaker_{metric}{{{HERE}}})"


def _chosen(metric: str, by: str, matchers: str = "") -> str:
    """Ask for a metric as the view that counts has it."""
    where = f"{HERE}, {matchers}" if matchers else HERE
    return f"max by ({by}) ({metric}{{{where}}} {CHOSEN})"


def _tiles() -> list[stat.Panel]:
    size = (4, 4)
    return [
        counts(
            "Bundles well",
            "Bundles that are neither degraded nor down, of those that are seen.",
            size,
            have=f"sum(cluster_bundle:pacemaker_bundle_state:max{{{HERE}}} < bool 2)",
            want=f"count(cluster_bundle:pacemaker_bundle_state:max{{{HERE}}})",
        ),
        counts(
            "Members online",
            "Cluster nodes that are online and clean, of those that are configured.",
            size,
            have=_of("members_online:min"),
            want=_of("members:max"),
        ),
        big(
            "Quorum",
            "Whether any exporter's node is in a partition with quorum.",
            size,
            now(_of("cluster_quorate:max")),
            mapped=YES_IS_GOOD,
            empty="not seen",
        ),
        big(
            "DC",
            "The designated controller, which decides for the cluster.",
            size,
            now(
                _chosen("pacemaker_node_condition", "node", 'condition="dc"') + " == 1",
                "{{node}}",
            ),
            empty="none is seen",
            text=options.BigValueTextMode.NAME,
        ),
        counts(
            "Trusted views",
            "Exporters whose node has quorum and a DC and whose last poll succeeded, of all.",
            size,
            have=_of("view_trusted:sum"),
            want=_of("exporters:count"),
        ),
        big(
            "Maintenance mode",
            "Whether the whole cluster is in maintenance mode: nothing is managed then.",
            size,
            now(_of("cluster_maintenance_mode:max")),
            mapped=YES_IS_NEWS,
            empty="not seen",
        ),
    ]


def _nodes() -> statetimeline.Panel:
    nodes = f'{HERE}, node_type=~"member|remote"'
    states = " or ".join(
        f"pacemaker_node_condition{{{nodes}, {condition}}} * {code}"
        for code, (_, condition, _) in enumerate(_NODE_STATES)
        if code not in {0, _OFFLINE}
    )
    offline = f'(1 - pacemaker_node_condition{{{nodes}, condition="online"}}) * {_OFFLINE}'
    return timeline(
        "Nodes",
        "Each member and remote node, as the view that counts has it; the gravest that holds.",
        (12, 7),
        query(f"max by (node) (({states} or {offline}) {CHOSEN})", "{{node}}"),
        mapped=_mapped((word, color) for word, _, color in _NODE_STATES),
        empty="No node was seen in this time",
    )


def _mapped(named: Iterable[tuple[str, str]], first: int = 0) -> list[Word]:
    return [(code, word, color) for code, (word, color) in enumerate(named, first)]


def _views() -> statetimeline.Panel:
    return timeline(
        "What each node's exporter may say",
        "A view without quorum or DC does not count, nor does one whose polls fail. Of those that"
        " are trusted the DC's counts.",
        (12, 7),
        query(f"max by (instance) ({VIEW})", "{{instance}}"),
        mapped=_VIEWS,
        empty="No exporter was scraped in this time",
    )


def _side_by_side() -> table.Panel:
    states = " or ".join(
        f'pacemaker_node_condition{{{HERE}, node_type="member", condition="{condition}"}} * {code}'
        for condition, code in (("online", 1), ("dc", 2), ("unclean", 3))
    )
    panel = listing(
        "Who sees whom",
        "How each exporter sees the members at this moment: in a split the rows differ.",
        (12, 6),
        [],
        rows(f"max by (instance, node) ({states})"),
        empty="No exporter has data",
    )
    matrix = {"rowField": "instance", "columnField": "node", "valueField": "Value"}
    seen = (
        (0, "offline", palette.FAILED),
        (1, "online", palette.STARTED),
        (2, "online, the DC", palette.PROMOTED),
        (3, "UNCLEAN", palette.FAILED),
    )
    return (
        panel.transformations(
            [model.DataTransformerConfig(id_val="groupingToMatrix", options=matrix)]
        )
        .override_by_name(
            r"instance\node",
            [
                model.DynamicConfigValue("displayName", "Exporter"),
                model.DynamicConfigValue("custom.width", 280),
            ],
        )
        .override_by_field_type("number", Column("", "", mapped=seen).properties)
    )


def _replicas_by_view() -> timeseries.Panel:
    return graph(
        "Ready replicas, as each exporter counts them",
        "All bundles together. In a split, or while a node lags behind, the lines part.",
        (12, 6),
        query(
            f"sum by (instance) (pacemaker_bundle_replicas_ready{{{HERE}}})",
            "{{instance}}",
        ),
        stepped=True,
    )


def _bundles() -> table.Panel:
    asked = {
        "A": "state:max",
        "B": "replicas_ready:min",
        "C": "replicas:max",
        "D": "replicas_promoted_ready:min",
        "E": "replicas_promoted_expected:max",
    }
    metrics = {
        ref: f"cluster_bundle:pacemaker_bundle_{name}{{{HERE}}}" for ref, name in asked.items()
    }
    since = f"cluster_bundle:pacemaker_bundle_degraded_since_timestamp_seconds:min{{{HERE}}}"
    metrics["F"] = f"time() - {since}"
    return listing(
        "Bundles",
        "The bundles of the cluster, the worst first.",
        (12, 8),
        [
            Column("bundle", "Bundle", uid=BUNDLE),
            Column("Value #A", "State", mapped=BUNDLE_STATES, width=100),
            Column("Value #B", "Ready", width=70),
            Column("Value #C", "of", width=50),
            Column("Value #D", "Promoted", width=85),
            Column("Value #E", "expected", width=85, mapped=((0, "-", ""),)),
            Column("Value #F", "In trouble for", unit="dtdurations", width=120),
        ],
        *(
            rows(f"max by (bundle, to) ({linked(expr, 'cluster', 'bundle')})", ref)
            for ref, expr in metrics.items()
        ),
        empty="No bundle is seen: is a view of the cluster trusted?",
        sort=("State", True),
    )


def _addresses() -> statetimeline.Panel:
    role = _chosen(
        "pacemaker_resource_role",
        "resource, node",
        'agent=~"ocf:.*:(IPaddr2?|IPv6addr|IPsrcaddr)", role="started"',
    )
    return timeline(
        "Virtual addresses",
        "On which node each address resource outside bundles is started. A gap: nowhere; two rows"
        " of an address at once: on two nodes.",
        (12, 7),
        query(f"topk(40, {role} > 0)", "{{resource}} on {{node}}"),
        mapped=((1, "here", palette.STARTED),),
        empty="No address resource outside bundles was started in this time",
    )


def _windows() -> statetimeline.Panel:
    of_cluster = " or ".join(
        f'label_replace({_of(f"cluster_{name}:max")}, "what", "{word}", "", "")'
        for name, word in (("maintenance_mode", "the cluster: maintenance"),)
    )
    node = f'{HERE}, node_type=~"member|remote", condition=~"maintenance|standby"'
    of_nodes = f"""
      label_join(
        max by (node, condition) (pacemaker_node_condition{{{node}}} {CHOSEN}),
        "what", ": ", "node", "condition"
      )
    """
    bundles = " or ".join(
        f'label_replace(1 - pacemaker_bundle_{name}{{{HERE}}}, "how", "{word}", "", "")'
        for name, word in (("managed", "unmanaged"), ("enabled", "disabled"))
    )
    # While the whole cluster is in maintenance none of its bundles is managed: that is one row.
    of_bundles = f"""
      label_join(
        max by (bundle, how) (
          ({bundles}) {CHOSEN}
          unless on (cluster) cluster:pacemaker_cluster_maintenance_mode:max == 1
        ),
        "what", ": ", "bundle", "how"
      )
    """
    expr = f"topk(30, max by (what) ({of_cluster} or {of_nodes} or {of_bundles}))"
    return timeline(
        "Maintenance windows",
        "When the cluster or a node was in maintenance or on standby, and a bundle unmanaged or"
        " disabled.",
        (12, 7),
        query(f"{expr} > 0", "{{what}}"),
        mapped=((1, "yes", palette.STOPPED),),
        empty="Nothing was seen to be taken out of service in this time",
    )


def _resources() -> table.Panel:
    role = _chosen("pacemaker_resource_role", "resource, agent, group, clone, node, role")
    failed = _chosen(
        "pacemaker_resource_condition",
        "resource, agent, group, clone, node",
        'condition=~"failed|blocked|orphaned"',
    )
    return listing(
        "Resources outside bundles",
        "Each resource, where it is and in which role; trouble: instances that are failed, blocked"
        " or orphaned. A hundred at most.",
        (24, 8),
        [
            Column("resource", "Resource"),
            Column("node", "On"),
            Column("role", "Role", width=100, mapped=_ROLES),
            Column(
                "Value #B",
                "Trouble",
                width=80,
                limits=((None, palette.NOTHING), (1, palette.FAILED)),
            ),
            Column("Value #A", "Instances", width=85),
            Column("agent", "Agent"),
            Column("group", "Group"),
            Column("clone", "Clone"),
        ],
        rows(or_unseen(f"topk(100, {role} > 0)", "resource"), "A"),
        rows(failed, "B"),
        empty="No resource is outside a bundle",
        sort=("Resource", False),
    )


_ROLES: tuple[Word, ...] = (
    ("stopped", "stopped", palette.STOPPED),
    ("started", "started", palette.STARTED),
    ("unpromoted", "unpromoted", palette.UNPROMOTED),
    ("promoted", "promoted", palette.PROMOTED),
    *(
        (role, role, palette.TRANSITION)
        for role in ("starting", "stopping", "promoting", "demoting", "migrating")
    ),
    ("unknown", "unknown", palette.FAILED),
)


def _bans() -> table.Panel:
    by = "constraint, resource, node, origin, promoted_only"
    score = _chosen("pacemaker_location_ban_score", by)
    return listing(
        "Bans and left-overs of moves",
        "Constraints that keep a resource off a node. Those of origin cli were left by a command:"
        " pcs resource clear removes them. --no-collector.bans leaves all of them out.",
        (12, 6),
        [
            Column("resource", "Resource"),
            Column("node", "Node"),
            Column("Value", "Score", mapped=_INFINITE, width=95),
            Column("origin", "Origin", width=75),
            Column("promoted_only", "Promoted only", width=115),
            Column("constraint", "Constraint", width=275),
        ],
        rows(or_unseen(f"bottomk(100, {score})", "resource")),
        empty="No bans: good",
    )


_INFINITE: tuple[Word, ...] = ((1_000_000, "INFINITY", ""), (-1_000_000, "-INFINITY", ""))


def _fencing() -> table.Panel:
    by = "target, action, status"
    last = _chosen("pacemaker_fencing_last_action_timestamp_seconds", by)
    return listing(
        "Fencing history",
        "What the fencer remembers, by target, action and how it ended. Nothing is shown"
        " either where the history could not be had, or --no-collector.fencing leaves it out.",
        (12, 6),
        [
            Column("target", "Target"),
            Column("action", "Action", width=90),
            Column("status", "Status", width=90, mapped=_FENCED),
            Column("Value #A", "Times", width=70),
            Column("Value #B", "Last", unit="dateTimeAsLocal", width=195),
        ],
        rows(or_unseen(_chosen("pacemaker_fencing_actions", by), "target"), "A"),
        rows(f"{last} * 1000", "B"),
        empty="No fencing on record",
    )


_FENCED: tuple[Word, ...] = (
    ("success", "success", palette.STARTED),
    ("failed", "failed", palette.FAILED),
    ("pending", "pending", palette.TRANSITION),
)


def _failures() -> table.Panel:
    by = "resource, node, bundle"
    counted = f"topk(100, {_chosen('pacemaker_resource_failures', by)} > 0)"
    threshold = f"{_chosen('pacemaker_resource_migration_threshold', by)} and on ({by}) ({counted})"
    return listing(
        "Fail-counts",
        "Failures of any resource that Pacemaker remembers, and after how many it gives up on that"
        " node. They stay after recovery, until cleanup or failure-timeout.",
        (12, 6),
        [
            Column("resource", "Resource"),
            Column("bundle", "Bundle"),
            Column("node", "On"),
            Column("Value #A", "Failures", mapped=_INFINITE, width=90),
            Column("Value #B", "Threshold", mapped=_INFINITE, width=95),
            Column("Value #C", "Gives up", mapped=GIVES_UP, width=85),
        ],
        rows(or_unseen(counted, "resource"), "A"),
        rows(threshold, "B"),
        rows(f"{counted} >= bool {_chosen('pacemaker_resource_migration_threshold', by)}", "C"),
        empty="No failure is counted: good",
    )


def _tickets() -> table.Panel:
    return listing(
        "Tickets",
        "Tickets of a cluster of several sites: whether this one has them.",
        (12, 6),
        [
            Column("ticket", "Ticket"),
            Column("Value #A", "Granted", mapped=YES_IS_GOOD, width=100),
            Column("Value #B", "Standby", mapped=YES_IS_NEWS, width=100),
        ],
        rows(or_unseen(_chosen("pacemaker_ticket_granted", "ticket"), "ticket"), "A"),
        rows(_chosen("pacemaker_ticket_standby", "ticket"), "B"),
        empty="The cluster has no tickets",
    )


def build() -> board.Dashboard:
    """Put it together."""
    made = dashboard(
        CLUSTER,
        "Pacemaker / Cluster",
        "One cluster: nodes, quorum, who sees what, resources outside bundles, bans and fencing.",
        [
            variable(
                "cluster",
                "Cluster",
                "cluster:pacemaker_exporters:count",
                "Value of the target label cluster; empty where there is no such label.",
            )
        ],
    )
    fenced = f"pacemaker_fencing_last_action_timestamp_seconds{{{HERE}}}"
    for annotation in (
        event(
            "Fencing",
            f"max by (target, action, status) ({fenced} {CHOSEN}) > time() - 60",
            palette.FAILED,
            "Fencing",
            "{{action}} of {{target}}: {{status}}",
        ),
        event(
            "Promotions",
            f"""
              max by (bundle) (increase(pacemaker_bundle_promotions_total{{{HERE}}}[1m])) > 0
            """,
            palette.PROMOTED,
            "Promotion",
            "A replica of {{bundle}} became promoted",
        ),
        event(
            "Critical alerts",
            began(
                "alertname, bundle, node, resource",
                f"""
                  ALERTS{{
                    alertname=~"Pacemaker.*", alertstate="firing", severity="critical", {HERE}
                  }}
                """,
            ),
            palette.TRANSITION,
            "{{alertname}}",
            "{{bundle}} {{node}} {{resource}}",
        ),
    ):
        made = made.annotation(annotation)
    for tile in _tiles():
        made = made.with_panel(tile)
    for panel in (
        _bundles(),
        alerts((12, 8), HERE),
        _nodes(),
        _views(),
        _side_by_side(),
        _replicas_by_view(),
        _addresses(),
        _windows(),
        _resources(),
        _failures(),
        _bans(),
        _fencing(),
        _tickets(),
    ):
        made = made.with_panel(panel)
    return made
