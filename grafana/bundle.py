"""Bundle detail: what each replica of one bundle does and did, and what Pacemaker thinks of it."""

from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries

from grafana import palette
from grafana.parts import (
    BUNDLE,
    BUNDLE_STATES,
    CHOSEN,
    GIVES_UP,
    Column,
    Word,
    alerts,
    began,
    big,
    counts,
    dashboard,
    event,
    graph,
    listing,
    now,
    or_unseen,
    query,
    rows,
    steps,
    timeline,
    variable,
)

HERE = 'cluster="$cluster", bundle="$bundle"'

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
    """Words for the number that the roles and the health of a replica add up to."""
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
    """Ask for that number of each replica."""
    roles = " or ".join(
        f'pacemaker_bundle_replica_role{{{HERE}, role="{role}"}} * {code}'
        for code, (role, _) in enumerate(_ROLES)
    )
    broken = f'pacemaker_bundle_replica_condition{{{HERE}, condition=~"failed|blocked"}}'
    on = "on (cluster, instance, bundle, replica)"
    return f"""
      max by (replica) (
        ({roles})
        + {on} {_NOT_READY} * (1 - pacemaker_bundle_replica_ready{{{HERE}}})
        + {on} {_FAILED - _NOT_READY} * max by (cluster, instance, bundle, replica) ({broken})
        {CHOSEN}
      )
    """


def _of(metric: str) -> str:
    return f"max(cluster_bundle:pacemaker_bundle_{metric}{{{HERE}}})"


def _tiles() -> list[stat.Panel]:
    size = (4, 4)

    since = f"cluster_bundle:pacemaker_bundle_degraded_since_timestamp_seconds:min{{{HERE}}}"
    return [
        big(
            "$bundle $cluster",
            "How the bundle is. Planned: it is disabled, unmanaged or in maintenance, or"
            " its nodes were taken out of service.",
            (6, 4),
            now(_of("state:max")),
            mapped=BUNDLE_STATES,
            empty="not seen",
        ),
        big(
            "In trouble for",
            "For how long the bundle has been degraded or down; vermillion from the five minutes on"
            " after which an alert fires.",
            size,
            now(f"max(time() - {since})"),
            unit="dtdurations",
            colors=steps((None, palette.WARNING), (300, palette.CRITICAL)),
            empty="no trouble is seen",
        ),
        counts(
            "Ready",
            "Replicas that are ready, of those that are configured: running, every component sound,"
            " on one host that is online and clean.",
            size,
            have=_of("replicas_ready:min"),
            want=_of("replicas:max"),
        ),
        counts(
            "Promoted",
            "Replicas that are promoted and ready, of those that should be: promoted-max, or all"
            " replicas where there are fewer.",
            size,
            have=_of("replicas_promoted_ready:min"),
            want=_of("replicas_promoted_expected:max"),
        ),
        big(
            "Failovers",
            "How often a replica was seen to become promoted in the time shown.",
            (3, 4),
            now(_increase("promotions_total")),
            empty="not counted",
        ),
        big(
            "Role changes",
            "How often a replica was seen to change between stopped, started, unpromoted and"
            " promoted in the time shown.",
            (3, 4),
            now(_increase("role_changes_total")),
            empty="not counted",
        ),
    ]


def _increase(counter: str, over: str = "$__range") -> str:
    """Ask what a counter grew by, in whole numbers, as the view that counts most has it."""
    return f"round(max(increase(pacemaker_bundle_{counter}{{{HERE}}}[{over}])))"


def _roles() -> statetimeline.Panel:
    return timeline(
        "Role of each replica",
        "Each replica's role over time, and whether it is fit for it: promoted, but not ready is"
        " what a replica on a lost node is.",
        (24, 6),
        query(_role(), "replica {{replica}}"),
        mapped=_role_words(),
        empty="The bundle was not seen in this time",
    )


def _hosts() -> statetimeline.Panel:
    places = f"max by (replica, node) (pacemaker_bundle_replica_node{{{HERE}}} {CHOSEN})"
    return timeline(
        "Host of each replica",
        "Where each replica's container runs. A gap: nowhere; two rows of a replica at once: it"
        " wrongly runs on two hosts.",
        (12, 9),
        query(places, "replica {{replica}} on {{node}}"),
        mapped=((1, "here", palette.STARTED),),
        empty="No container ran in this time",
    )


def _components() -> statetimeline.Panel:
    parts = f"""
      min by (at, component) (
        label_replace(
          pacemaker_bundle_replica_component_active{{{HERE}}}, "at", "$1", "replica", "(.*)"
        ) {CHOSEN}
      )
    """
    return timeline(
        "Components of each replica",
        "Whether each component is active: the container; the address, if it has one; Pacemaker's"
        " connection into the container, and the service in it.",
        (12, 9),
        query(parts, "{{at}} {{component}}"),
        mapped=((0, "inactive", palette.STOPPED), (1, "active", palette.STARTED)),
        empty="The bundle was not seen in this time",
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
    expr = f"max by (replica, condition) (({coded}) {CHOSEN})"
    return timeline(
        "Conditions that held",
        "What was said of a replica in this time: failed, blocked, orphaned, unmanaged, in"
        " maintenance, or an operation on the way.",
        (12, 7),
        query(f"{expr} > 0", "{{replica}} {{condition}}"),
        mapped=((code, name, color) for code, (name, color) in enumerate(_CONDITIONS, 1)),
        empty="None of them was seen to hold in this time",
    )


def _counts() -> timeseries.Panel:
    return graph(
        "Ready and promoted, against what should be",
        "Dashed: replicas configured, and replicas that should be promoted.",
        (12, 7),
        query(_of("replicas_ready:min"), "ready", "A"),
        query(_of("replicas_promoted_ready:min"), "promoted and ready", "B"),
        query(_of("replicas:max"), "configured", "C"),
        query(_of("replicas_promoted_expected:max"), "to be promoted", "D"),
        stepped=True,
        thick="A",
        lines={"A": palette.STARTED, "B": palette.PROMOTED},
        limits={"C": palette.STOPPED, "D": palette.UNPROMOTED},
    )


def _changes() -> timeseries.Panel:
    return graph(
        "Failovers and role changes",
        "Replicas seen to become promoted, and to change role, minute by minute.",
        (12, 7),
        query(_increase("promotions_total", "$__rate_interval"), "promotions", "A"),
        query(_increase("role_changes_total", "$__rate_interval"), "role changes", "B"),
        bars=True,
        lines={"A": palette.PROMOTED, "B": palette.TRANSITION},
    )


def _failures() -> table.Panel:
    of = "replica, resource, node"

    def asked(name: str) -> str:
        return f"max by ({of}) (pacemaker_resource_{name}{{{HERE}}} {CHOSEN})"

    counted = f"{asked('failures')} > 0"
    infinity = ((1_000_000, "INFINITY", ""),)
    return listing(
        "Fail-counts",
        "Failures that Pacemaker remembers, and after how many it gives up on that node. They stay"
        " after recovery, until cleanup or failure-timeout.",
        (12, 6),
        [
            Column("replica", "Replica", width=75),
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
        empty="No failure is counted: good",
    )


def _actions() -> table.Panel:
    of = "replica, resource, node, operation, status, rc"
    return listing(
        "Failed actions",
        "Actions of the bundle's resources that failed, by the number that the agent returned. They"
        " stay after recovery, until cleanup or failure-timeout.",
        (12, 6),
        [
            Column("replica", "Replica", width=75),
            Column("resource", "Resource"),
            Column("node", "On"),
            Column("operation", "Operation", width=95),
            Column("status", "Status", width=90),
            Column("rc", "Code", width=60),
            Column("Value", "Times", width=70),
        ],
        rows(or_unseen(f"max by ({of}) (pacemaker_failed_actions{{{HERE}}} {CHOSEN})", "resource")),
        empty="No action has failed: good",
    )


def _configuration() -> table.Panel:
    of = "bundle"

    def asked(name: str) -> str:
        return f"max by ({of}) (pacemaker_bundle_{name}{{{HERE}}} {CHOSEN})"

    info = f"""
      max by (bundle, engine, image, primitive, unique)
      (pacemaker_bundle_info{{{HERE}}} {CHOSEN})
    """
    good = ((0, "no", palette.WARNING), (1, "yes", palette.STARTED))
    news = ((0, "no", palette.NOTHING), (1, "yes", palette.WARNING))
    return listing(
        "Configuration",
        "Image and service of the bundle, and what limits and moves it. Empty limits: the CIB could"
        " not be read.",
        (24, 4),
        [
            Column("engine", "Engine", width=80),
            Column("image", "Image"),
            Column("primitive", "Service"),
            Column("Value #B", "Replicas", width=80),
            Column("Value #C", "promoted-max", width=115),
            Column("Value #D", "per host", width=80),
            Column("Value #E", "Enabled", mapped=good, width=80),
            Column("Value #F", "Managed", mapped=good, width=85),
            Column("Value #G", "Maintenance", mapped=news, width=105),
        ],
        rows(info, "A"),
        rows(asked("replicas"), "B"),
        rows(asked("promoted_max"), "C"),
        rows(asked("replicas_per_host_limit"), "D"),
        rows(asked("enabled"), "E"),
        rows(asked("managed"), "F"),
        rows(asked("maintenance"), "G"),
        empty="The bundle is not seen",
        hidden=("Value #A", "bundle", "unique"),
    )


def build() -> board.Dashboard:
    """Put it together."""
    made = dashboard(
        BUNDLE,
        "Pacemaker / Bundle",
        "One bundle: its replicas over time, where they ran, what failed, and how it is set up.",
        [
            variable(
                "cluster",
                "Cluster",
                "cluster:pacemaker_exporters:count",
                "Value of the target label cluster; empty where there is no such label.",
            ),
            variable(
                "bundle",
                "Bundle",
                'cluster_bundle:pacemaker_bundle_replicas:max{cluster="$cluster"}',
                "Bundles that were seen in this time.",
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
            began("bundle, replica, node", f"pacemaker_bundle_replica_node{{{HERE}}}", CHOSEN)
            + f"and on (bundle) max by (bundle) (pacemaker_bundle_replicas{{{HERE}}} offset 1m)",
            palette.STARTED,
            "Started",
            "{{bundle}} replica {{replica}} started on {{node}}, or moved there",
        ),
        event(
            "Failures",
            began(
                "bundle, replica",
                f'pacemaker_bundle_replica_condition{{{HERE}, condition="failed"}}',
                CHOSEN,
            ),
            palette.FAILED,
            "Failed",
            "{{bundle}} replica {{replica}} is failed",
        ),
        event(
            "Alerts",
            began(
                "alertname, severity, bundle, replica",
                f'ALERTS{{alertname=~"Pacemaker.*", alertstate="firing", {HERE}}}',
            ),
            palette.TRANSITION,
            "{{alertname}}",
            "{{severity}}: {{bundle}} {{replica}}",
        ),
    ):
        made = made.annotation(annotation)
    for tile in _tiles():
        made = made.with_panel(tile)
    return (
        made.with_panel(_roles())
        .with_panel(_hosts())
        .with_panel(_components())
        .with_panel(_conditions())
        .with_panel(_counts())
        .with_panel(_changes())
        .with_panel(alerts((12, 7), 'cluster="$cluster", bundle=~"|$bundle"'))
        .with_panel(_failures())
        .with_panel(_actions())
        .with_panel(_configuration())
    )
