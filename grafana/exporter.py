"""The exporters themselves: whether and how fast they poll, the age of their data, their cost."""

from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.builders import stat, statetimeline, table

from exporter.errors import Outcome
from grafana import palette
from grafana.parts import (
    EXPORTER,
    GOOD_AT_ZERO,
    Column,
    Word,
    alerts,
    big,
    counts,
    dashboard,
    graph,
    listing,
    now,
    query,
    rows,
    steps,
    timeline,
    variable,
)

HERE = 'cluster="$cluster", instance=~"$instance"'
UP = f'up{{job="pacemaker", {HERE}}}'
EACH = "max by (instance)"

_COLORS = {
    Outcome.SUCCESS: palette.STARTED,
    Outcome.NOT_CONNECTED: palette.STOPPED,
    Outcome.TIMEOUT: palette.TRANSITION,
}


def _own(name: str) -> str:
    return f"{EACH} (pacemaker_exporter_{name}{{{HERE}}})"


def _age() -> str:
    return f"time() - {_own('snapshot_timestamp_seconds')}"


def _tiles() -> list[stat.Panel]:
    size = (4, 4)
    failed = f'pacemaker_exporter_polls_total{{{HERE}, outcome!="success"}}'
    return [
        counts(
            "Exporters answering",
            "Exporters that Prometheus can scrape, of those chosen above.",
            size,
            have=f"sum({UP})",
            want=f"count({UP})",
        ),
        counts(
            "Polls succeed",
            "Exporters whose last poll of crm_mon succeeded, of those that answer.",
            size,
            have=f"sum(pacemaker_up{{{HERE}}})",
            want=f"sum({UP})",
        ),
        counts(
            "Trusted views",
            "Exporters whose node has quorum and a DC, and whose last poll succeeded, of those that"
            " answer.",
            size,
            have=f"sum(pacemaker_view_trusted{{{HERE}}})",
            want=f"sum({UP})",
        ),
        big(
            "Age of data, of its limit",
            "Age of the oldest data, in hundredths of the age at which it is withdrawn.",
            size,
            now(f"max(({_age()}) / {_own('snapshot_max_age_seconds')})"),
            unit="percentunit",
            colors=steps((None, palette.WELL), (0.7, palette.WARNING), (1, palette.CRITICAL)),
            empty="none",
        ),
        big(
            "Failed polls in this time",
            "Polls that gave no status of the cluster.",
            size,
            now(f"round(sum(increase({failed}[$__range])))"),
            colors=GOOD_AT_ZERO,
            empty="not counted",
        ),
        big(
            "Restarts in this time",
            "Starts of the exporters' processes, after the first.",
            size,
            now(f"sum(changes(process_start_time_seconds{{{_JOB}}}[$__range]))"),
            colors=steps((None, palette.WELL), (3, palette.WARNING)),
            empty="not counted",
        ),
    ]


_JOB = f'job="pacemaker", {HERE}'


def _outcomes() -> statetimeline.Panel:
    coded = " or ".join(
        f'(pacemaker_exporter_last_poll_outcome{{{HERE}, outcome="{outcome}"}} == 1) * {code}'
        for code, outcome in enumerate(Outcome, 1)
    )
    mapped: list[Word] = [
        (0, "no answer", palette.FAILED),
        *(
            (code, outcome.value.replace("_", " "), _COLORS.get(outcome, palette.FAILED))
            for code, outcome in enumerate(Outcome, 1)
        ),
    ]
    return timeline(
        "Outcome of the last poll",
        "How the last poll of crm_mon ended, for each exporter; no answer: the scrape failed. What"
        " each outcome means and what to do is in the README.",
        (24, 6),
        query(f"{EACH} ({coded} or ({UP} == 0))", "{{instance}}"),
        mapped=mapped,
        empty="No exporter was scraped in this time",
    )


def _versions() -> table.Panel:
    by = "instance"
    return listing(
        "Versions",
        "Of each exporter, its Python, and the Pacemaker and output of crm_mon that it sees.",
        (24, 6),
        [
            Column("instance", "Exporter"),
            Column("node", "Node"),
            Column("version", "Version", width=110),
            Column("revision", "Revision", width=110),
            Column("python_version", "Python", width=110),
            Column("cluster_name", "Cluster's name"),
            Column("pacemaker_version", "Pacemaker"),
            Column("api_version", "crm_mon's XML", width=125),
            Column("Value #D", "Unreadable times", width=150),
        ],
        rows(
            f"max by ({by}, version, revision, python_version)"
            f" (pacemaker_exporter_build_info{{{HERE}}})",
            "A",
        ),
        rows(
            f"max by ({by}, cluster_name, pacemaker_version, api_version)"
            f" (pacemaker_cluster_info{{{HERE}}})",
            "B",
        ),
        rows(f"max by ({by}, node) (pacemaker_local_node_info{{{HERE}}})", "C"),
        rows(_own("unreadable_times"), "D"),
        empty="No exporter answers",
        hidden=("Value #A", "Value #B", "Value #C"),
    )


def build() -> board.Dashboard:
    """Put it together."""
    made = dashboard(
        EXPORTER,
        "Pacemaker / Exporter",
        "The exporters of one cluster: polls, age of their data, scrapes, and what they cost.",
        [
            variable(
                "cluster",
                "Cluster",
                "cluster:pacemaker_exporters:count",
                "Value of the target label cluster; empty where there is no such label.",
            ),
            variable(
                "instance",
                "Exporter",
                'up{job="pacemaker", cluster="$cluster"}',
                "Exporters of the cluster, by their address.",
                several=True,
            ),
        ],
    )
    for tile in _tiles():
        made = made.with_panel(tile)
    half, third = (12, 7), (8, 7)
    failures = "round(max by (instance, outcome) (increase({}[$__rate_interval]))) > 0"
    polls = f'pacemaker_exporter_polls_total{{{HERE}, outcome!="success"}}'
    reads = f'pacemaker_exporter_cib_reads_total{{{HERE}, outcome!="success"}}'
    cpu = f"{EACH} (rate(process_cpu_seconds_total{{{_JOB}}}[$__rate_interval]))"
    for panel in (
        _outcomes(),
        graph(
            "Duration of the last poll",
            "In all; of the longest, also the time in crm_mon. Dashed: from one poll to the next.",
            half,
            query(_own("poll_duration_seconds"), "{{instance}}", "A"),
            query(f"max({_own('crm_mon_duration_seconds')})", "crm_mon, the longest", "B"),
            query(f"max({_own('poll_interval_seconds')})", "interval", "C"),
            unit="s",
            limits={"C": palette.TRANSITION},
        ),
        graph(
            "Age of the snapshot, against its limit",
            "How old the last good answer of crm_mon is. Dashed: the age at which it is withdrawn.",
            half,
            query(_age(), "{{instance}}", "A"),
            query(f"max({_own('snapshot_max_age_seconds')})", "limit", "B"),
            unit="s",
            limits={"B": palette.FAILED},
        ),
        graph(
            "Polls that failed, by outcome",
            "Polls of crm_mon that gave no status, minute by minute.",
            half,
            query(failures.format(polls), "{{instance}} {{outcome}}"),
            bars=True,
            empty="No failed poll was counted in this time",
        ),
        graph(
            "Reads of the CIB that failed, by outcome",
            "Without the CIB promoted-max and replicas-per-host are unknown.",
            half,
            query(failures.format(reads), "{{instance}} {{outcome}}"),
            bars=True,
            empty="No failed read was counted in this time",
        ),
        graph(
            "Scrape duration",
            "How long Prometheus took for a scrape.",
            third,
            query(f"{EACH} (scrape_duration_seconds{{{_JOB}}})", "{{instance}}"),
            unit="s",
        ),
        graph(
            "Samples of a scrape",
            "How much the exporter has to say.",
            third,
            query(f"{EACH} (scrape_samples_scraped{{{_JOB}}})", "{{instance}}"),
        ),
        graph(
            "Memory",
            "Resident memory of the exporter.",
            third,
            query(f"{EACH} (process_resident_memory_bytes{{{_JOB}}})", "{{instance}}"),
            unit="bytes",
        ),
        graph(
            "CPU",
            "Of one core; crm_mon's own time is not in it.",
            half,
            query(cpu, "{{instance}}"),
            unit="percentunit",
        ),
        alerts(half, HERE),
        _versions(),
    ):
        made = made.with_panel(panel)
    return made
