"""Cluster dashboard: nodes, the exporters' views, resources outside bundles, and fencing."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from exporter.cluster.agents import ADDRESS_AGENTS
from exporter.judgement.facts import MANY_OF_REMOTE_NODES, MANY_REMOTE_NODES
from exporter.judgement.nodes import NodeState
from grafana import palette
from grafana.parts import (
    BUNDLE,
    BUNDLE_STATES,
    CHOSEN,
    CLUSTER,
    CURRENT,
    DEGRADED,
    GIVES_UP,
    MORE,
    OURS,
    SEVERITIES,
    YES_IS_GOOD,
    YES_IS_NEWS,
    Column,
    Word,
    alerts,
    began,
    big,
    bundle_states,
    counts,
    dashboard,
    event,
    first,
    graph,
    linked,
    listing,
    now,
    or_unseen,
    others,
    query,
    rows,
    sortable,
    spaced,
    timeline,
    variable,
)

HERE = 'cluster="$cluster"'
STATE = bundle_states(HERE)

_NODE_STATES: tuple[tuple[str, str, str], ...] = (
    ("online", 'condition="online"', palette.STARTED),
    ("online, the DC", 'condition="dc"', palette.PROMOTED),
    ("standby", 'condition=~"standby|standby_onfail"', palette.STOPPED),
    ("maintenance", 'condition="maintenance"', palette.STOPPED),
    ("joining or leaving", 'condition=~"pending|shutdown"', palette.TRANSITION),
    ("offline", 'condition="online"', palette.FAILED),
    ("UNCLEAN", 'condition="unclean"', palette.FAILED),
)
_OFFLINE = 5
_NODE_WORDS: Sequence[Word] = tuple(
    (code, word, color) for code, (word, _, color) in enumerate(_NODE_STATES)
)

_VIEWS: tuple[Word, ...] = (
    (0, "exporter does not answer", palette.FAILED),
    (1, "poll fails", palette.FAILED),
    (2, "no quorum, no DC, or corosync silent", palette.TRANSITION),
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
    """Query a metric from the view that counts."""
    where = f"{HERE}, {matchers}" if matchers else HERE
    return f"max by ({by}) ({metric}{{{where}}} {CHOSEN})"


def _nodes_in(matchers: str) -> str:
    """Select the recorded numbers of nodes by type and state."""
    return f"cluster:pacemaker_nodes:max{{{HERE}, {matchers}}}"


_REMOTE = 'node_type="remote"'
_REMOTE_ONLINE = f'{_REMOTE}, state!~"unclean|offline"'


def _tiles() -> list[stat.Panel]:
    size = (3, 4)
    online = f"sum({_nodes_in(_REMOTE_ONLINE)})"
    remote = f"sum({_nodes_in(_REMOTE)})"
    lost = f"({remote} - {online})"
    return [
        counts(
            "Bundles well",
            "Bundles that are ok or reduced on purpose, of all bundles.",
            size,
            have=f"sum({STATE} < bool {DEGRADED})",
            want=f"count({STATE})",
            bad=f"1000 * sum({STATE} >= bool {DEGRADED})",
        ),
        counts(
            "Members online",
            "Cluster nodes that are online and clean, of all configured cluster nodes.",
            size,
            have=_of("members_online:min"),
            want=_of("members:max"),
        ),
        counts(
            "Remote online",
            "Pacemaker Remote nodes that are online and clean, of all of them. Vermillion: at least"
            " three and a fifth of them are not. Guest nodes do not count.",
            size,
            have=online,
            want=remote,
            bad=f"""
              {lost} + 1000 * ({lost} >= bool {MANY_REMOTE_NODES})
              * ({lost} >= bool {remote} / {1 / MANY_OF_REMOTE_NODES:g})
            """,
            empty="no remote nodes",
        ),
        big(
            "Quorum",
            "Whether the node of at least one exporter is in a partition with quorum.",
            size,
            now(_of("cluster_quorate:max")),
            mapped=YES_IS_GOOD,
            empty="not seen",
        ),
        big(
            "DC",
            "The designated controller: the node that makes the decisions of the cluster.",
            size,
            now(
                _chosen("pacemaker_node_condition", "node", 'condition="dc"') + " == 1",
                "{{node}}",
            ),
            empty="not seen",
            text=options.BigValueTextMode.NAME,
        ),
        counts(
            "Trusted views",
            "Exporters whose node has quorum and a DC, whose last poll succeeded, and where"
            " corosync answers, of all exporters.",
            size,
            have=_of("view_trusted:sum"),
            want=_of("exporters:count"),
        ),
        big(
            "Maintenance",
            "Whether maintenance mode is on, or every member and remote node is in maintenance."
            " Pacemaker then manages nothing.",
            size,
            now(_of("cluster_maintenance_mode:max")),
            mapped=YES_IS_NEWS,
            empty="not seen",
        ),
        big(
            "CIB",
            "Whether the exporter whose view counts has read the CIB as it is now. If not, it"
            " judges by what it read before, if anything, and may expect too much or too little.",
            size,
            now(f"max(pacemaker_configuration_current{{{HERE}}} {CHOSEN})"),
            mapped=CURRENT,
            empty="not seen",
        ),
    ]


_MOST_NODES = 16
_EVERY_NODE = f'{HERE}, node_type=~"member|remote"'


def _node_states() -> str:
    """Query the code of the most serious state of each node, except online."""
    states = " or ".join(
        f"pacemaker_node_condition{{{_EVERY_NODE}, {condition}}} * {code}"
        for code, (_, condition, _) in enumerate(_NODE_STATES)
        if code not in {0, _OFFLINE}
    )
    offline = f'(1 - pacemaker_node_condition{{{_EVERY_NODE}, condition="online"}}) * {_OFFLINE}'
    return f"({states} or {offline}) {CHOSEN}"


def _nodes() -> statetimeline.Panel:
    def over_time(function: str, condition: str, among: str = _EVERY_NODE) -> str:
        condition = f'{among}, condition=~"{condition}"'
        return f"{function}_over_time(pacemaker_node_condition{{{condition}}}[$__range] @ end())"

    noteworthy = f"""
      max by (node) (
        {over_time("max", "out_of_service|pending|standby_onfail")} / 2
        or
        {over_time("max", "unclean")}
        or
        1 - {over_time("min", "online")}
      )
    """
    members = over_time("max", "dc", f'{HERE}, node_type="member"')
    member = f"max by (node) ({members} * 0 + 3)"
    ranked = f"({member} or {noteworthy} > 0 or {noteworthy} * 0)"
    # Remote nodes that are well have rows only if all of them have.
    wanted = f"({ranked} > 0 or {ranked} and on () count({ranked}) <= {_MOST_NODES})"
    more = f"count({wanted}) - {_MOST_NODES} > 0"
    more = f'label_replace(count_values("more", {more}), "more", "$1 more nodes", "more", "(.*)")'
    return timeline(
        "Nodes",
        "State of members and remote nodes, in the view that counts. If several states apply, the"
        f" most serious one is shown. The panel shows at most {_MOST_NODES} nodes: members, then"
        " remote nodes that were lost, then those that were joining or out of service in this time"
        " range, and how many others there are of these. Remote nodes that were always well are"
        " shown only if there is room for all.",
        (12, 9),
        query(
            f"max by (node) ({_node_states()}) and on (node) topk({_MOST_NODES}, {wanted})",
            "{{node}}",
            "A",
        ),
        query(f"{more} * {len(_NODE_STATES)}", "{{more}}", "B"),
        mapped=[*_NODE_WORDS, (len(_NODE_STATES), "not shown", palette.PLANNED)],
        empty="No data on nodes in this time range",
    )


_MOST_LISTED = 50
_ON_PURPOSE: Sequence[Word] = ((0, "no", ""), (1, "yes", palette.PLANNED))


def _nodes_not_well() -> table.Panel:
    by = "node, node_type"
    state = f"max by ({by}) ({_node_states()})"
    out_of_service = _chosen("pacemaker_node_condition", by, 'condition="out_of_service"')
    not_well = f"({state} >= 2)"
    member = _chosen("pacemaker_node_condition", by, 'node_type="member", condition="online"')
    # Members come first, then nodes that nobody took out of service, then the worst state.
    ranked = f"""
      {not_well} - on ({by}) {out_of_service} * 10
      + on ({by}) ({member} * 0 + 100 or {out_of_service} * 0)
    """
    listed = f"{not_well} and on ({by}) topk({_MOST_LISTED}, {ranked})"
    since = f"cluster_node:pacemaker_remote_node_lost_since_timestamp_seconds:min{{{HERE}}}"
    more = others(_MOST_LISTED, not_well, "node")
    more = f'label_replace({more}, "node_type", "remote", "", "")'
    return listing(
        "Nodes that are not well",
        "Members and remote nodes that are lost, joining or leaving, in standby or in maintenance."
        " On purpose: somebody took the node out of service, for example by disabling its"
        f" connection. Shows at most {_MOST_LISTED} nodes, and how many others there are: members"
        " first, then those that nobody took out of service.",
        (12, 7),
        [
            Column("node", "Node"),
            Column("node_type", "Type", width=90),
            Column("Value #A", "State", mapped=[*_NODE_WORDS, MORE], width=135),
            Column("Value #B", "On purpose", mapped=_ON_PURPOSE, width=110),
            Column("Value #C", "Lost for", unit="dtdurations", width=100),
        ],
        rows(or_unseen(f"{listed} or {more}", "node"), "A"),
        rows(f"{out_of_service} and on ({by}) ({listed})", "B"),
        rows(f"max by (node) (time() - {since}) and on (node) ({listed})", "C"),
        empty="All members and remote nodes are online and in service",
        sort=[("Type", False), ("State", True), ("On purpose", False)],
    )


_STATE_COLORS = {
    NodeState.UNCLEAN: palette.FAILED,
    NodeState.OFFLINE: palette.FAILED,
    NodeState.PENDING: palette.TRANSITION,
    NodeState.MAINTENANCE: palette.UNPROMOTED,
    NodeState.STANDBY: palette.STOPPED,
    NodeState.ONLINE: palette.STARTED,
}


def _nodes_by_state() -> timeseries.Panel:
    by_letter = dict(zip("ABCDEF", NodeState, strict=True))

    def counted(state: NodeState) -> str:
        remote, member = (
            _nodes_in(f'node_type="{node_type}", state="{state}"')
            for node_type in ("remote", "member")
        )
        either = _nodes_in(f'node_type=~"member|remote", state="{state}"')
        return f"""
          sum by (node_type) ({remote} or {member} unless on () {remote})
          and on (node_type)
          max by (node_type) (max_over_time({either}[$__range] @ end())) > 0
        """

    return graph(
        "Nodes by state",
        "Number of remote nodes, or of members if the cluster has no remote nodes, by the first"
        " state that holds of unclean, offline, pending (joining), maintenance, standby and online."
        " Only states that occurred in this time range.",
        (12, 9),
        *(
            query(counted(state), f"{{{{node_type}}}} {state}", letter)
            for letter, state in by_letter.items()
        ),
        stepped=True,
        lines={
            letter: _STATE_COLORS[state] for letter, state in by_letter.items() if letter != "A"
        },
        limits={"A": _STATE_COLORS[NodeState.UNCLEAN]},
    )


def _problems() -> table.Panel:
    found = spaced(_chosen("pacemaker_problems", "severity, kind"), "kind")
    return listing(
        "Problems",
        "What the exporter finds wrong, as show and the status page do: for each kind of problem,"
        " how many nodes, bundles or resources have it. Critical: a service is down or degraded, or"
        " nobody can tell. Warning: services are as wanted, but somebody has to work on it. Info:"
        " somebody did it on purpose.",
        (9, 8),
        [
            Column("severity", "Severity", mapped=SEVERITIES, width=85),
            Column("kind", "Problem"),
            Column("Value", "Subjects", width=90),
        ],
        rows(or_unseen(sortable(found), "kind")),
        empty="No problems",
        sort=[("Severity", False)],
    )


def _problems_by_severity() -> timeseries.Panel:
    seen = f"max(cluster:pacemaker_view_trusted:sum{{{HERE}}} > 0)"

    def found(severity: str) -> str:
        return _chosen("pacemaker_problems", "kind", f'severity="{severity}"')

    letters = {severity: letter for letter, (_, severity, _) in zip("ABC", SEVERITIES, strict=True)}
    return graph(
        "Problems by severity",
        "Number of nodes, bundles and resources with problems, by severity. One with problems of"
        " several kinds counts for each.",
        (12, 7),
        *(
            query(f"sum({found(severity)}) or {seen} * 0", severity, letter)
            for severity, letter in letters.items()
        ),
        stepped=True,
        empty="No problems in this time range",
        lines={letters[severity]: color for _, severity, color in SEVERITIES},
    )


def _views() -> statetimeline.Panel:
    return timeline(
        "View of each exporter",
        "A view without quorum or DC, with failing polls, or where corosync does not answer does"
        " not count. Of the trusted views, the view of the DC counts.",
        (12, 7),
        query(f"max by (instance) ({VIEW})", "{{instance}}"),
        mapped=_VIEWS,
        empty="No exporter was scraped in this time range",
    )


_MOST_LINKS = 12


def _links() -> statetimeline.Panel:
    connected = f"""
      label_join(
        max by (instance, peer, link) (corosync_link_connected{{{HERE}}}),
        "what", " ", "instance", "peer", "link"
      )
    """
    labelled = f"""
      max by (what) (
        label_replace({connected}, "what", "$1 to $2, link $3", "what", "([^ ]*) ([^ ]*) ([^ ]*)")
      )
    """
    # Those that were down come first.
    ranked = f"(1 - min_over_time(({labelled})[$__range:1m] @ end()))"
    return timeline(
        "Links of corosync",
        "Whether corosync on each node has a connection to each other node, by link. If all links"
        " to a node are down, the node is off or cut off; if one is, the cluster has lost"
        " redundancy."
        f" Shows at most {_MOST_LINKS} links; those that were down in this time range come first.",
        (12, 7),
        query(f"{labelled} and on (what) topk({_MOST_LINKS}, {ranked})", "{{what}}"),
        mapped=[(0, "down", palette.FAILED), (1, "up", palette.STARTED)],
        empty="No links: corosync 3 with knet has some, if the exporter may ask it",
    )


def _votes() -> timeseries.Panel:
    def votes(name: str) -> str:
        return f"max(corosync_votes_{name}{{{HERE}}} {CHOSEN})"

    return graph(
        "Votes",
        "Votes that are present in the partition that counts, those of the quorum device included,"
        " and how many are needed for quorum and expected in all.",
        (6, 7),
        query(votes("present"), "present", "A"),
        query(votes("needed"), "needed", "B"),
        query(votes("expected"), "expected", "C"),
        stepped=True,
        lines={"A": palette.STARTED, "C": palette.STOPPED},
        limits={"B": palette.FAILED},
    )


def _latencies() -> timeseries.Panel:
    return graph(
        "Latency of corosync's links",
        "Average round trip on each link, of the slowest pair of nodes. Corosync averages over"
        " about 20 minutes: the graph shows lasting changes, and never a spike.",
        (6, 7),
        query(
            f"max by (link) (corosync_link_latency_average_seconds{{{HERE}}})", "link {{link}}", "A"
        ),
        unit="s",
    )


def _side_by_side() -> table.Panel:
    states = " or ".join(
        f'pacemaker_node_condition{{{HERE}, node_type="member", condition="{condition}"}} * {code}'
        for condition, code in (("online", 1), ("dc", 2), ("unclean", 3))
    )
    panel = listing(
        "State of the members, in the view of each exporter",
        "How each exporter currently sees the members. If the cluster is split, the rows differ.",
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
        "Ready replicas, in the view of each exporter",
        "Total of all bundles. If the cluster is split or a node lags behind, the lines differ.",
        (12, 6),
        query(
            f"sum by (instance) (pacemaker_bundle_replicas_ready{{{HERE}}})",
            "{{instance}}",
        ),
        stepped=True,
    )


_REASONS: Sequence[tuple[int, str, str]] = tuple(
    (code, condition, palette.STOPPED)
    for code, condition in enumerate(
        (
            "too few nodes",
            "nodes out of service",
            "demoted",
            "held back",
            "disabled",
            "unmanaged",
            "maintenance",
        ),
        1,
    )
)


_MOST_BUNDLES = 100


def _bundles() -> table.Panel:
    of = f"{{{HERE}}}"
    reason = " or ".join(
        _chosen("pacemaker_bundle_condition", "bundle", f'condition="{name.replace(" ", "_")}"')
        + f" * {code} > 0"
        for code, name, _ in reversed(_REASONS)
    )
    recorded = {
        ref: f"cluster_bundle:pacemaker_bundle_{name}{of}"
        for ref, name in (
            ("B", "replicas_ready:min"),
            ("C", "replicas_expected:max"),
            ("D", "replicas:max"),
            ("E", "replicas_promoted_ready:min"),
            ("F", "replicas_promoted_expected:max"),
        )
    }
    since = f"cluster_bundle:pacemaker_bundle_degraded_since_timestamp_seconds:min{of}"
    worst = f"and on (bundle) topk({_MOST_BUNDLES}, {STATE})"

    def of_worst(expr: str) -> str:
        return f"max by (bundle, to) ({linked(expr, 'cluster', 'bundle')}) {worst}"

    return listing(
        "Bundles",
        "Bundles of the cluster, the worst first: replicas that are ready, expected and configured,"
        " promoted and expected to be promoted. Condition: why fewer are expected, or why Pacemaker"
        " does not manage the bundle; the bundle's dashboard shows all. Shows at most"
        f" {_MOST_BUNDLES} bundles, and how many others there are.",
        (15, 8),
        [
            Column("bundle", "Bundle", narrow=120, uid=BUNDLE),
            Column("Value #A", "State", mapped=[*BUNDLE_STATES, MORE], width=90),
            Column("Value #B", "Ready", width=60),
            Column("Value #C", "expected", width=80),
            Column("Value #D", "configured", width=90),
            Column("Value #E", "Promoted", width=80),
            Column("Value #F", "to promote", width=90, mapped=((0, "-", ""),)),
            Column("Value #G", "Condition", mapped=_REASONS, width=155),
            Column("Value #H", "In trouble for", unit="dtdurations", width=110),
        ],
        rows(f"{of_worst(STATE)} or {others(_MOST_BUNDLES, STATE, 'bundle')}", "A"),
        *(rows(of_worst(expr), ref) for ref, expr in recorded.items()),
        rows(f"({reason}) {worst}", "G"),
        rows(of_worst(f"time() - {since}"), "H"),
        empty="No bundles: does the cluster have a trusted view?",
        sort=[("State", True)],
    )


def _addresses() -> statetimeline.Panel:
    address = f'agent=~"{"|".join(ADDRESS_AGENTS)}"'
    role = _chosen("pacemaker_resource_role", "resource, node", f'{address}, role="started"')
    down = _chosen("pacemaker_resource_condition", "resource", f'{address}, condition="down"')
    return timeline(
        "Virtual IPs",
        "Addresses outside bundles that were down: they should run and did not, or not well. Below"
        " them the node on which each is started. A gap means that it does not run. Two rows of one"
        " address at the same time mean that it runs on two nodes. Shows at most 20 addresses that"
        " were down, and 20 rows of nodes.",
        (12, 7),
        query(f"topk(20, ({down} > bool 0) * 2)", "{{resource}}", "A"),
        query(f"topk(20, {role} > 0)", "{{resource}} on {{node}}", "B"),
        mapped=((1, "here", palette.STARTED), (2, "down", palette.FAILED)),
        empty="No address resource outside bundles was started or down in this time range",
    )


_MOST_WINDOWS = 12


def _windows() -> statetimeline.Panel:
    mode = f"max(cluster:pacemaker_cluster_maintenance_mode:max{{{HERE}}})"
    of_cluster = f'label_replace({mode} * {len(_WINDOWS)}, "what", "the cluster", "", "")'

    def all_of(by: str, windows: Sequence[Word]) -> str:
        coded = " or ".join(
            f'pacemaker_{by}_condition{{{HERE}, condition="{name.replace(" ", "_")}"}} * {code}'
            for code, name, _ in windows
        )
        worst = f"max by ({by}) (({coded}) {CHOSEN})"
        return f'label_replace({worst}, "what", "$1", "{by}", "(.*)")'

    of_nodes, of_bundles = all_of("node", _WINDOWS[:2]), all_of("bundle", _WINDOWS[2:-1])
    # Maintenance mode makes all nodes and bundles part of it, but should only add one row.
    expr = f"{of_cluster} or ({of_nodes} or {of_bundles}) unless on () {mode} == 1"
    windows = f"max by (what) ({expr}) > 0"
    return timeline(
        "Planned work",
        "When the cluster was in maintenance mode, a node was in maintenance or otherwise out of"
        " service (such as standby), or a bundle was disabled, held back, demoted, unmanaged or in"
        f" maintenance. Shows at most {_MOST_WINDOWS} of them at a time, bundles before nodes, and"
        " how many others there are.",
        (12, 7),
        query(f"topk({_MOST_WINDOWS}, {windows})", "{{what}}", "A"),
        query(others(_MOST_WINDOWS, windows, "what"), "{{what}}", "B"),
        mapped=[*_WINDOWS, (-1, "planned work", palette.STOPPED)],
        empty="No planned work in this time range",
    )


_WINDOWS: Sequence[tuple[int, str, str]] = tuple(
    (code, name, palette.STOPPED)
    for code, name in enumerate(
        (
            *("out of service", "maintenance"),
            *("demoted", "unmanaged", "held back", "disabled", "maintenance"),
            "maintenance",
        ),
        1,
    )
)
"""Of nodes, of bundles, and of the cluster."""

_CONDITIONS: tuple[Word, ...] = (
    (0, "-", ""),
    (1, "pending", palette.TRANSITION),
    (2, "maintenance", palette.STOPPED),
    (3, "unmanaged", palette.STOPPED),
    (4, "disabled", palette.STOPPED),
    (5, "held back", palette.STOPPED),
    (6, "orphaned", palette.TRANSITION),
    (7, "failed", palette.FAILED),
    (8, "down", palette.FAILED),
    (9, "blocked", palette.FAILED),
)
"""Conditions of resources, the most serious last."""
_ADDRESS_DOWN: Word = (10, "address down", palette.FAILED)
_ALIKE = 10
"""The number of resources of an agent with the same condition, or role, that have own rows."""
_MOST_RESOURCES = 100


def _resources() -> table.Panel:
    by = "resource, agent, group, clone, node"
    role = f"max by ({by}, role) (pacemaker_resource_role{{{HERE}}} {CHOSEN} > 0) * 0"
    address = f'agent=~"{"|".join(ADDRESS_AGENTS)}"'
    worst_first = [
        f"{_holds('down', address)} * 0 + {_ADDRESS_DOWN[0]}",
        *(f"{_holds(name)} * 0 + {code}" for code, name, _ in reversed(_CONDITIONS) if code),
    ]
    coded = f" or on (instance, {by}) ".join(worst_first)
    # topk, because the trusted views may differ.
    troubled = f"topk by ({by}) (1, max by ({by}, condition) (({coded}) {CHOSEN}))"
    well = f"({role} unless on ({by}) {troubled})"

    def sum_up(each: str, expr: str, alike: str, value: str) -> str:
        number = f"count by ({alike}) ({expr}) > {_ALIKE}"
        together = f'count_values by ({alike}) ("resource", {number})'
        return f"""
          {each} unless on ({alike}) {number}
          or
          {value} label_replace({together} * 0, "resource", "$1 of them", "resource", "(.*)")
        """

    with_role = f"({role} + on ({by}) group_left (condition) {troubled})"
    alike = "agent, group, clone, condition"
    worst = f"max by ({alike}) ({troubled}) + on ({alike}) group_left (resource)"
    all_troubled = sum_up(with_role, troubled, alike, worst)
    all_well = sum_up(well, well, "agent, group, clone, role", "")
    shown = f"({all_troubled} or {all_well})"
    return listing(
        "Resources outside bundles",
        "Each resource with its node and role, and the most serious of its conditions, the worst"
        " first. Down: it should run and does not, or not well. Held back: what it depends on is"
        f" not to run. More than {_ALIKE} resources with the same agent and condition, or role,"
        f" have one row. Shows at most {_MOST_RESOURCES} rows, and how many others there are.",
        (24, 8),
        [
            Column("Value", "Condition", width=115, mapped=[*_CONDITIONS, _ADDRESS_DOWN, MORE]),
            Column("resource", "Resource"),
            Column("node", "On"),
            Column("role", "Role", width=100, mapped=_ROLES),
            Column("agent", "Agent"),
            Column("group", "Group"),
            Column("clone", "Clone"),
        ],
        rows(or_unseen(first(_MOST_RESOURCES, shown, "resource"), "resource")),
        empty="No resources outside bundles",
        sort=[("Condition", True)],
        hidden=("condition",),
    )


def _holds(condition: str, matchers: str = "") -> str:
    """Select the series of a condition of resources, which exist only while it holds."""
    where = f"{HERE}, {matchers}" if matchers else HERE
    name = condition.replace(" ", "_")
    return f'pacemaker_resource_condition{{{where}, condition="{name}"}}'


def _clones() -> table.Panel:
    def asked(name: str) -> str:
        return _chosen(f"pacemaker_clone_instances{name}", "clone, resource")

    missing = asked("_missing")
    most = 50
    worst = f"topk({most}, {missing})"
    return listing(
        "Clones",
        "Instances of the resources of clones, the most incomplete first. Missing: expected and not"
        " running, on nodes that are in service, online and clean. Possible: if all nodes were in"
        f" service. Shows at most {most} resources, and how many others there are.",
        (12, 7),
        [
            Column("clone", "Clone"),
            Column("resource", "Resource"),
            Column("Value #A", "Missing", width=95, limits=_SOME, mapped=[MORE]),
            Column("Value #B", "Running", width=75),
            Column("Value #C", "expected", width=80),
            Column("Value #D", "possible", width=80),
            Column("Value #E", "Promoted", width=85, mapped=((0, "-", ""),)),
        ],
        rows(or_unseen(first(most, missing, "clone"), "clone"), "A"),
        *(
            rows(f"{asked(name)} and on (clone, resource) {worst}", ref)
            for ref, name in (("B", "_running"), ("C", "_expected"), ("D", ""), ("E", "_promoted"))
        ),
        empty="No clones outside bundles",
        sort=[("Missing", True)],
    )


_SOME = ((None, palette.NOTHING), (1, palette.WARNING))


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


_MOST_BANS = 100


def _bans() -> table.Panel:
    by = "constraint, resource, node, origin, promoted_only"
    score = _chosen("pacemaker_location_ban_score", by)
    left = _chosen("pacemaker_location_ban_score", by, 'origin="cli"')
    # Those that a command left behind come first.
    ranked = f"({left} * 0 + 1 or {score} * 0)"
    shown = f"{score} and on ({by}) topk({_MOST_BANS}, {ranked})"
    more = f'label_replace({others(_MOST_BANS, score, "resource")} * NaN, "origin", "more", "", "")'
    return listing(
        "Bans and leftovers of moves",
        "Constraints that keep a resource away from a node. A command left those with origin cli"
        " behind, and come first: pcs resource clear removes them. --no-collector.bans omits all"
        f" constraints. Shows at most {_MOST_BANS}, and how many others there are.",
        (12, 6),
        [
            Column("resource", "Resource"),
            Column("node", "Node"),
            Column("Value", "Score", mapped=_INFINITE, width=95),
            Column("origin", "Origin", width=75),
            Column("promoted_only", "Promoted only", width=115),
            Column("constraint", "Constraint", width=275),
        ],
        rows(or_unseen(f"{shown} or {more}", "resource")),
        empty="No bans",
        sort=[("Origin", False)],
    )


_INFINITE: tuple[Word, ...] = ((1_000_000, "INFINITY", ""), (-1_000_000, "-INFINITY", ""))


_MOST_FENCED = 100


def _fencing() -> table.Panel:
    by = "target, action, status"
    actions = _chosen("pacemaker_fencing_actions", by)
    last = _chosen("pacemaker_fencing_last_action_timestamp_seconds", by)
    failed = _chosen("pacemaker_fencing_actions", by, 'status="failed"')
    newest = f"({last} or {actions} * 0 + time())"
    ranked = f"{newest} + on ({by}) ({failed} * 0 + 1e10 or {actions} * 0)"
    shown = f"topk({_MOST_FENCED}, {ranked})"
    more = f'label_replace({others(_MOST_FENCED, newest, "target")}, "status", "unlisted", "", "")'
    return listing(
        "Fencing history",
        f"Fencing history by target, action and outcome, failures first, at most {_MOST_FENCED}"
        " rows, and how many others there are. The table is also empty if the exporter could not"
        " get the history, or with --no-collector.fencing.",
        (12, 6),
        [
            Column("target", "Target"),
            Column("action", "Action", width=90),
            Column("status", "Status", width=90, mapped=_FENCED),
            Column("Value #A", "Times", width=70, mapped=[MORE]),
            Column("Value #B", "Last", unit="dateTimeAsLocal", width=195),
        ],
        rows(or_unseen(f"{actions} and {shown} or {more}", "target"), "A"),
        rows(f"{last} * 1000 and {shown}", "B"),
        empty="No fencing in the history",
        sort=[("Status", False), ("Last", True)],
    )


_FENCED: tuple[Word, ...] = (
    ("success", "success", palette.STARTED),
    ("failed", "failed", palette.FAILED),
    ("pending", "pending", palette.TRANSITION),
    ("unlisted", "more", ""),
)


_MOST_FAILURES = 50


def _failures() -> table.Panel:
    by = "resource, node, bundle"
    counted = f"({_chosen('pacemaker_resource_failures', by)} > 0)"
    connection = f"""
      label_replace(
        {_chosen("pacemaker_node_condition", "node", f'{_REMOTE}, condition="online"')},
        "resource", "$1", "node", "(.*)"
      )
    """
    # Those of bundles come first, those of connections of remote nodes last.
    ranked = f"""
      {counted}
      + on ({by}) (
        {_chosen("pacemaker_resource_failures", by, 'bundle!=""')} * 0 + 4e6
        or {counted} * 0 + 2e6 unless on (resource) {connection}
        or {counted} * 0
      )
    """
    shown = f"({counted} and on ({by}) topk({_MOST_FAILURES}, {ranked}))"
    threshold = f"{_chosen('pacemaker_resource_migration_threshold', by)} and on ({by}) {shown}"
    return listing(
        "Fail-counts",
        "Fail-count of each resource and node, and the migration-threshold at which Pacemaker gives"
        " up on that node. Fail-counts stay after recovery, until a cleanup or failure-timeout."
        f" Shows at most {_MOST_FAILURES}, and how many others there are: those of bundles first,"
        " those of remote nodes' connections last.",
        (12, 7),
        [
            Column("resource", "Resource"),
            Column("bundle", "Bundle"),
            Column("node", "On"),
            Column("Value #A", "Failures", mapped=[*_INFINITE, MORE], width=90),
            Column("Value #B", "Threshold", mapped=_INFINITE, width=95),
            Column("Value #C", "Gives up", mapped=GIVES_UP, width=85),
        ],
        rows(
            or_unseen(f"{shown} or {others(_MOST_FAILURES, counted, 'resource')}", "resource"), "A"
        ),
        rows(threshold, "B"),
        rows(f"{shown} >= bool {_chosen('pacemaker_resource_migration_threshold', by)}", "C"),
        empty="No failures",
        sort=[("Bundle", True), ("Failures", True)],
    )


def _tickets() -> table.Panel:
    return listing(
        "Tickets",
        "Tickets of a multi-site cluster, and whether this site has them.",
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
    """Build the dashboard."""
    made = dashboard(
        CLUSTER,
        "Pacemaker / Cluster",
        "One cluster: nodes, quorum, exporters' views, resources outside bundles, bans and"
        " fencing.",
        [
            variable(
                "cluster",
                "Cluster",
                "cluster:pacemaker_exporters:count",
                "Value of the target label cluster; empty if targets do not have this label.",
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
                    alertname=~"{OURS}", alertstate="firing", severity="critical", {HERE}
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
        _problems(),
        _nodes(),
        _nodes_by_state(),
        alerts((12, 7), HERE),
        _nodes_not_well(),
        _addresses(),
        _problems_by_severity(),
        _resources(),
        _views(),
        _windows(),
        _links(),
        _votes(),
        _latencies(),
        _side_by_side(),
        _replicas_by_view(),
        _clones(),
        _failures(),
        _bans(),
        _fencing(),
        _tickets(),
    ):
        made = made.with_panel(panel)
    return made
