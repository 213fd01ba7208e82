"""Bundle dashboard: the present and past states of one bundle's replicas, and their failures."""

from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as options

from grafana import palette
from grafana.parts import (
    BUNDLE,
    BUNDLE_STATES,
    CHOSEN,
    CURRENT,
    GIVES_UP,
    OURS,
    Column,
    Word,
    alerts,
    began,
    big,
    bundle_states,
    counts,
    dashboard,
    event,
    graph,
    listing,
    now,
    or_unseen,
    query,
    rows,
    spaced,
    steps,
    timeline,
    variable,
)

HERE = 'cluster="$cluster", bundle="$bundle"'
_ROWS = 40
"""The maximum number of rows in a timeline."""

_ROLES = (
    ("stopped", palette.STOPPED),
    ("started", palette.STARTED),
    ("unpromoted", palette.UNPROMOTED),
    ("promoted", palette.PROMOTED),
    ("starting", palette.TRANSITION),
    ("stopping", palette.TRANSITION),
    ("promoting", palette.TRANSITION),
    ("demoting", palette.TRANSITION),
    ("migrating", palette.TRANSITION),
    ("unknown", palette.FAILED),
)
_RUNNING = range(1, 4)
_NOT_READY, _FAILED = 10, 20


def _role_words() -> list[Word]:
    """Return the word for each code, which combines a replica's role and health (see _role)."""
    found: list[Word] = []
    for code, (role, color) in enumerate(_ROLES):
        not_ready = (f"{role}, NOT READY", palette.FAILED) if code in _RUNNING else (role, color)
        found += [
            (code, role, color),
            (code + _NOT_READY, *not_ready),
            (code + _FAILED, f"{role}, FAILED", palette.FAILED),
        ]
    return found


def _role() -> str:
    """Query each replica's code: its role, plus an offset if it is not ready or has failed."""
    roles = " or ".join(
        f'pacemaker_bundle_replica_role{{{HERE}, role="{role}"}} * {code}'
        for code, (role, _) in enumerate(_ROLES)
    )
    broken = f'pacemaker_bundle_replica_condition{{{HERE}, condition=~"failed|blocked"}}'
    each = "(cluster, instance, bundle, bundle_replica)"
    return f"""
      topk({_ROWS}, max by (bundle_replica) (
        ({roles})
        + on {each} {_NOT_READY} * (1 - pacemaker_bundle_replica_ready{{{HERE}}})
        + on {each} {_FAILED - _NOT_READY} * max by {each} ({broken})
        {CHOSEN}
      ))
    """


def _chosen(metric: str, by: str, matchers: str = "") -> str:
    """Query a metric of the bundle from the view that counts."""
    where = f"{HERE}, {matchers}" if matchers else HERE
    return f"max by ({by}) (pacemaker_{metric}{{{where}}} {CHOSEN})"


def _of(metric: str) -> str:
    return f"max(cluster_bundle:pacemaker_bundle_{metric}{{{HERE}}})"


def _missing(have: str, want: str) -> str:
    """Query the colour of a tile: critical if the first number is lower than the second."""
    return f"1000 * ({_of(have)} < bool {_of(want)})"


def _conditions_now() -> str:
    """Query the conditions of the bundle that hold: 1, or 2 for the failed one."""
    any_, failed = (
        f"{_chosen('bundle_condition', 'condition', matcher)} == 1"
        for matcher in ("", 'condition="failed"')
    )
    return spaced(f"(({failed}) + 1 or {any_})", "condition")


def _tiles() -> list[stat.Panel]:
    size = (4, 4)

    since = f"cluster_bundle:pacemaker_bundle_degraded_since_timestamp_seconds:min{{{HERE}}}"
    return [
        big(
            "$bundle $cluster",
            "State of the bundle. Down: no replica is ready, or none is promoted, although some"
            " should be. Degraded: fewer are ready or promoted than expected. Reduced: as expected,"
            " but fewer than configured; the conditions say why.",
            (5, 4),
            now(f"max({bundle_states(HERE)})"),
            mapped=BUNDLE_STATES,
            empty="not seen",
        ),
        big(
            "Conditions",
            "Conditions of the bundle that hold now. Disabled, held back, nodes out of service and"
            " too few nodes are the reasons to expect fewer replicas than configured; demoted is"
            " the reason to expect no promoted one. If it is unmanaged or in maintenance, Pacemaker"
            " does not repair it.",
            (5, 4),
            now(_conditions_now(), "{{condition}}"),
            colors=steps((None, palette.WARNING), (2, palette.CRITICAL)),
            empty="none",
            text=options.BigValueTextMode.NAME,
        ),
        big(
            "In trouble for",
            "How long the bundle has been degraded or down. It turns vermillion after five minutes,"
            " when an alert fires.",
            size,
            now(f"max(time() - {since})"),
            unit="dtdurations",
            colors=steps((None, palette.WARNING), (300, palette.CRITICAL)),
            empty="no trouble",
        ),
        counts(
            "Ready",
            "Ready replicas of those that are expected. A replica is ready if all its components"
            " run without failures on one host that is online and clean. Expected are as many as"
            " are configured, unless conditions say otherwise.",
            size,
            have=_of("replicas_ready:min"),
            want=_of("replicas_expected:max"),
            bad=_missing("replicas_ready:min", "replicas_expected:max"),
        ),
        counts(
            "Promoted",
            "Replicas that are promoted and ready, of those that should be: promoted-max, or the"
            " number of expected replicas if that is lower.",
            (3, 4),
            have=_of("replicas_promoted_ready:min"),
            want=_of("replicas_promoted_expected:max"),
            bad=_missing("replicas_promoted_ready:min", "replicas_promoted_expected:max"),
        ),
        big(
            "Failovers",
            "How often a replica became promoted in the selected time range.",
            (3, 4),
            now(_increase("promotions_total")),
            empty="not counted",
        ),
    ]


def _increase(counter: str, over: str = "$__range") -> str:
    """Query the increase of a counter, rounded; the highest of all exporters."""
    return f"round(max(increase(pacemaker_bundle_{counter}{{{HERE}}}[{over}])))"


_HOLDS, _IN_PROGRESS, _HAS_FAILED = 10, 11, 12


def _states() -> statetimeline.Panel:
    holding = " or ".join(
        f"{_chosen('bundle_condition', 'condition', matcher)} * {code}"
        for matcher, code in (
            ('condition!~"pending|failed"', _HOLDS),
            ('condition="pending"', _IN_PROGRESS),
            ('condition="failed"', _HAS_FAILED),
        )
    )
    return timeline(
        "State and conditions of the bundle",
        "State of the bundle over time, and the conditions that held: why fewer replicas were"
        " expected or promoted, who kept Pacemaker from managing the bundle, whether it was marked"
        " failed, and whether an operation was in progress (pending).",
        (12, 7),
        query(f"max({bundle_states(HERE)})", "state", "A"),
        query(spaced(f"({holding}) > 0", "condition"), "{{condition}}", "B"),
        mapped=(
            *BUNDLE_STATES,
            (_HOLDS, "yes", palette.STOPPED),
            (_IN_PROGRESS, "yes", palette.TRANSITION),
            (_HAS_FAILED, "yes", palette.FAILED),
        ),
        empty="No data on the bundle in this time range",
    )


def _roles() -> statetimeline.Panel:
    return timeline(
        "Role of each replica",
        "Each replica's role over time, and whether it is ready. For example, a promoted replica on"
        " a lost node is not ready.",
        (24, 6),
        query(_role(), "replica {{bundle_replica}}"),
        mapped=_role_words(),
        empty="No data on the bundle in this time range",
    )


def _hosts() -> statetimeline.Panel:
    places = f"topk({_ROWS}, {_chosen('bundle_replica_node', 'bundle_replica, node')})"
    return timeline(
        "Host of each replica",
        "Host on which each replica's container runs. A gap means that it does not run. Two rows of"
        " one replica at the same time mean that it wrongly runs on two hosts.",
        (12, 9),
        query(places, "replica {{bundle_replica}} on {{node}}"),
        mapped=((1, "here", palette.STARTED),),
        empty="No container ran in this time range",
    )


def _components() -> statetimeline.Panel:
    parts = f"""
      bottomk({_ROWS}, min by (at, component) (
        label_replace(
          pacemaker_bundle_replica_component_active{{{HERE}}}, "at", "$1", "bundle_replica", "(.*)"
        ) {CHOSEN}
      ))
    """
    return timeline(
        "Components of each replica",
        "Whether each component is active: the container, its address if it has one, Pacemaker's"
        " connection to the container, and the service in it.",
        (12, 9),
        query(parts, "{{at}} {{component}}"),
        mapped=((0, "inactive", palette.STOPPED), (1, "active", palette.STARTED)),
        empty="No data on the bundle in this time range",
    )


_CONDITIONS: tuple[tuple[str, str], ...] = (
    ("failed", palette.FAILED),
    ("blocked", palette.FAILED),
    ("orphaned", palette.FAILED),
    ("unmanaged", palette.STOPPED),
    ("maintenance", palette.STOPPED),
    ("pending", palette.TRANSITION),
)


def _conditions() -> statetimeline.Panel:
    coded = " or ".join(
        f'pacemaker_bundle_replica_condition{{{HERE}, condition="{condition}"}} * {code}'
        for code, (condition, _) in enumerate(_CONDITIONS, 1)
    )
    expr = f"max by (bundle_replica, condition) (({coded}) {CHOSEN})"
    return timeline(
        "Conditions of each replica",
        "When a replica was failed, blocked, orphaned, unmanaged, in maintenance, or had a pending"
        " operation.",
        (12, 7),
        query(f"topk({_ROWS}, {expr} > 0)", "{{bundle_replica}} {{condition}}"),
        mapped=((code, name, color) for code, (name, color) in enumerate(_CONDITIONS, 1)),
        empty="No replica had such a condition in this time range",
    )


def _counts() -> timeseries.Panel:
    return graph(
        "Ready and promoted replicas, compared with the expected numbers",
        "Dashed: the number of replicas that are configured, that are expected to be ready, and"
        " that should be promoted.",
        (12, 7),
        query(_of("replicas_ready:min"), "ready", "A"),
        query(_of("replicas_promoted_ready:min"), "promoted and ready", "B"),
        query(_of("replicas:max"), "configured", "C"),
        query(_of("replicas_promoted_expected:max"), "to be promoted", "D"),
        query(_of("replicas_expected:max"), "expected", "E"),
        stepped=True,
        thick="A",
        lines={"A": palette.STARTED, "B": palette.PROMOTED},
        limits={"C": palette.STOPPED, "D": palette.UNPROMOTED, "E": palette.TRANSITION},
    )


def _changes() -> timeseries.Panel:
    return graph(
        "Failovers and role changes",
        "Promotions and role changes of replicas, in each interval of at least a minute.",
        (12, 7),
        query(_increase("promotions_total", "$__rate_interval"), "promotions", "A"),
        query(_increase("role_changes_total", "$__rate_interval"), "role changes", "B"),
        bars=True,
        lines={"A": palette.PROMOTED, "B": palette.TRANSITION},
    )


def _failures() -> table.Panel:
    of = "bundle_replica, resource, node"

    def asked(name: str) -> str:
        return _chosen(f"resource_{name}", of)

    counted = f"topk(100, {asked('failures')} > 0)"
    infinity = ((1_000_000, "INFINITY", ""),)
    return listing(
        "Fail-counts",
        "Fail-count of each resource and node, and the migration-threshold at which Pacemaker gives"
        " up on that node. Fail-counts stay after recovery, until a cleanup or failure-timeout.",
        (12, 7),
        [
            Column("bundle_replica", "Replica", width=75),
            Column("resource", "Resource", narrow=100),
            Column("node", "On", narrow=120),
            Column("Value #A", "Failures", mapped=infinity, width=85),
            Column("Value #B", "Threshold", mapped=infinity, width=95),
            Column("Value #D", "Gives up", mapped=GIVES_UP, width=85),
            Column("Value #C", "Last", unit="dateTimeAsLocal", width=195),
        ],
        rows(or_unseen(counted, "resource"), "A"),
        rows(f"{asked('migration_threshold')} and on ({of}) ({counted})", "B"),
        rows(f"{asked('last_failure_timestamp_seconds')} * 1000 and on ({of}) ({counted})", "C"),
        rows(f"{counted} >= bool {asked('migration_threshold')}", "D"),
        empty="No failures",
    )


def _actions() -> table.Panel:
    of = "bundle_replica, resource, node, operation, status, rc"
    return listing(
        "Failed actions",
        "Failed actions of the bundle's resources, with the agent's return code. Entries stay after"
        " recovery, until a cleanup or failure-timeout.",
        (24, 5),
        [
            Column("bundle_replica", "Replica", width=75),
            Column("resource", "Resource"),
            Column("node", "On"),
            Column("operation", "Operation", width=95),
            Column("status", "Status", width=90),
            Column("rc", "Code", width=60),
            Column("Value", "Times", width=70),
        ],
        rows(or_unseen(f"topk(100, {_chosen('failed_actions', of)})", "resource")),
        empty="No failed actions",
    )


def _configuration() -> table.Panel:
    def asked(name: str) -> str:
        return _chosen(f"bundle_{name}", "bundle")

    current = f'max(pacemaker_configuration_current{{cluster="$cluster"}} {CHOSEN})'
    return listing(
        "Configuration",
        "Image, service and limits of the bundle, and the number of nodes that may host it. Limits"
        " are empty if the exporter has not read the CIB. CIB not current: the exporter cannot read"
        " the CIB since it changed, and shows what it read before.",
        (24, 4),
        [
            Column("engine", "Engine", width=80),
            Column("image", "Image"),
            Column("primitive", "Service"),
            Column("Value #B", "Replicas", width=80),
            Column("Value #C", "expected", width=85),
            Column("Value #D", "Eligible nodes", width=120),
            Column("Value #E", "per host", width=80),
            Column("Value #F", "promoted-max", width=115),
            Column("Value #G", "CIB", mapped=CURRENT, width=100),
        ],
        rows(_chosen("bundle_info", "bundle, engine, image, primitive, unique"), "A"),
        rows(asked("replicas"), "B"),
        rows(asked("replicas_expected"), "C"),
        rows(asked("eligible_nodes"), "D"),
        rows(asked("replicas_per_host_limit"), "E"),
        rows(asked("promoted_max"), "F"),
        rows(f"{asked('replicas')} * 0 + on () group_left () {current}", "G"),
        empty="No data on the bundle",
        hidden=("Value #A", "bundle", "unique"),
    )


def build() -> board.Dashboard:
    """Build the dashboard."""
    made = dashboard(
        BUNDLE,
        "Pacemaker / Bundle",
        "One bundle: its replicas over time, their hosts, failures and configuration.",
        [
            variable(
                "cluster",
                "Cluster",
                "cluster:pacemaker_exporters:count",
                "Value of the target label cluster; empty if targets do not have this label.",
            ),
            variable(
                "bundle",
                "Bundle",
                'cluster_bundle:pacemaker_bundle_replicas:max{cluster="$cluster"}',
                "Bundles with data in the selected time range.",
            ),
        ],
    )
    for annotation in (
        event(
            "Promotions",
            f"max by (bundle) (increase(pacemaker_bundle_promotions_total{{{HERE}}}[1m])) > 0",
            palette.PROMOTED,
            "Promotion",
            "A replica of {{bundle}} became promoted",
        ),
        event(
            "Starts",
            began(
                "bundle, bundle_replica, node", f"pacemaker_bundle_replica_node{{{HERE}}}", CHOSEN
            )
            + f"and on (bundle) max by (bundle) (pacemaker_bundle_replicas{{{HERE}}} offset 1m)",
            palette.STARTED,
            "Started",
            "{{bundle}} replica {{bundle_replica}} started on {{node}}, or moved there",
        ),
        event(
            "Failures",
            began(
                "bundle, bundle_replica",
                f'pacemaker_bundle_replica_condition{{{HERE}, condition="failed"}}',
                CHOSEN,
            ),
            palette.FAILED,
            "Failed",
            "{{bundle}} replica {{bundle_replica}} has failed",
        ),
        event(
            "Alerts",
            began(
                "alertname, severity, bundle, bundle_replica",
                f'ALERTS{{alertname=~"{OURS}", alertstate="firing", {HERE}}}',
            ),
            palette.TRANSITION,
            "{{alertname}}",
            "{{severity}}: {{bundle}} {{bundle_replica}}",
        ),
    ):
        made = made.annotation(annotation)
    for tile in _tiles():
        made = made.with_panel(tile)
    return (
        made.with_panel(_roles())
        .with_panel(_states())
        .with_panel(_counts())
        .with_panel(_hosts())
        .with_panel(_components())
        .with_panel(_conditions())
        .with_panel(_changes())
        .with_panel(alerts((12, 7), 'cluster="$cluster", bundle=~"|$bundle"'))
        .with_panel(_failures())
        .with_panel(_actions())
        .with_panel(_configuration())
    )
