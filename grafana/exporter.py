"""Exporter dashboard: polls, age of the data, scrapes, and resource usage of the exporters."""

from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.builders import stat, statetimeline, table

from exporter.cluster.outcome import Outcome
from grafana import palette
from grafana.parts import (
    CURRENT,
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


def _own(name: str, *matchers: str) -> str:
    return f"{EACH} (pacemaker_exporter_{name}{{{', '.join((HERE, *matchers))}}})"


def _failed(source: str) -> str:
    return f'pacemaker_exporter_source_reads_total{{{HERE}, source="{source}", outcome!="success"}}'


def _age() -> str:
    return f"time() - {_own('snapshot_timestamp_seconds')}"


def _tiles() -> list[stat.Panel]:
    size, narrow = (4, 4), (3, 4)
    failed = _failed("status")
    return [
        counts(
            "Exporters answering",
            "Exporters that Prometheus can scrape, of the selected exporters.",
            size,
            have=f"sum({UP})",
            want=f"count({UP})",
        ),
        counts(
            "Successful polls",
            "Exporters whose last poll of crm_mon succeeded, of those that answer.",
            size,
            have=f"sum(pacemaker_up{{{HERE}}})",
            want=f"sum({UP})",
        ),
        counts(
            "Trusted views",
            "Exporters whose node has quorum and a DC and whose last poll succeeded, of those that"
            " answer.",
            size,
            have=f"sum(pacemaker_view_trusted{{{HERE}}})",
            want=f"sum({UP})",
        ),
        counts(
            "CIB current",
            "Exporters that have read the CIB as it is now, of those that show the cluster. The"
            " others cannot read it since it changed, and judge by what they read before, if"
            " anything.",
            narrow,
            have=f"sum(pacemaker_configuration_current{{{HERE}}})",
            want=f"count(pacemaker_configuration_current{{{HERE}}})",
            bad=f"count(pacemaker_configuration_current{{{HERE}}} == 0) or vector(0)",
            empty="no data",
        ),
        big(
            "Age of data",
            "Age of the oldest data, in percent of the age at which the exporter stops showing it.",
            narrow,
            now(f"max(({_age()}) / {_own('snapshot_max_age_seconds')})"),
            unit="percentunit",
            colors=steps((None, palette.WELL), (0.7, palette.WARNING), (1, palette.CRITICAL)),
            empty="no data",
        ),
        big(
            "Failed polls",
            "Polls in the selected time range that did not return the status of the cluster.",
            narrow,
            now(f"round(sum(increase({failed}[$__range])))"),
            colors=GOOD_AT_ZERO,
            empty="not counted",
        ),
        big(
            "Restarts",
            "Restarts of the exporters in the selected time range.",
            narrow,
            now(f"sum(changes(process_start_time_seconds{{{_JOB}}}[$__range]))"),
            colors=steps((None, palette.WELL), (3, palette.WARNING)),
            empty="not counted",
        ),
    ]


_JOB = f'job="pacemaker", {HERE}'


def _outcomes() -> statetimeline.Panel:
    coded = " or ".join(
        f'(pacemaker_exporter_source_last_outcome{{{HERE}, source="status", outcome="{outcome}"}}'
        f" == 1) * {code}"
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
        "Outcome of each exporter's last poll of crm_mon. No answer means that the scrape failed."
        " The README explains each outcome and what to do.",
        (24, 6),
        query(f"{EACH} ({coded} or ({UP} == 0))", "{{instance}}"),
        mapped=mapped,
        empty="No exporter was scraped in this time range",
    )


def _versions() -> table.Panel:
    by = "instance"
    return listing(
        "Versions",
        "Versions of each exporter, its Python, its Pacemaker and the XML format of crm_mon, and"
        " whether it has read the CIB as it is now.",
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
            Column("Value #D", "CIB", mapped=CURRENT, width=110),
            Column("Value #E", "Unreadable times", width=150),
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
        rows(f"{EACH} (pacemaker_configuration_current{{{HERE}}})", "D"),
        rows(_own("unreadable_times"), "E"),
        empty="No exporter answers",
        hidden=("Value #A", "Value #B", "Value #C"),
    )


def build() -> board.Dashboard:
    """Build the dashboard."""
    made = dashboard(
        EXPORTER,
        "Pacemaker / Exporter",
        "The exporters of one cluster: polls, age of the data, scrapes and resource usage.",
        [
            variable(
                "cluster",
                "Cluster",
                "cluster:pacemaker_exporters:count",
                "Value of the target label cluster; empty if targets do not have this label.",
            ),
            variable(
                "instance",
                "Exporter",
                'up{job="pacemaker", cluster="$cluster"}',
                "Addresses of the cluster's exporters.",
                several=True,
            ),
        ],
    )
    for tile in _tiles():
        made = made.with_panel(tile)
    half, third = (12, 7), (8, 7)
    failures = "round(max by (instance, outcome) (increase({}[$__rate_interval]))) > 0"
    crm_mon = _own("source_duration_seconds", 'source="status"')
    polls, reads = _failed("status"), _failed("configuration")
    cpu = f"{EACH} (rate(process_cpu_seconds_total{{{_JOB}}}[$__rate_interval]))"
    for panel in (
        _outcomes(),
        graph(
            "Duration of the last poll",
            "Total duration of each exporter's last poll, and the longest time spent in crm_mon."
            " Dashed: the poll interval.",
            half,
            query(_own("poll_duration_seconds"), "{{instance}}", "A"),
            query(
                f"max({crm_mon})",
                "crm_mon, the longest",
                "B",
            ),
            query(f"max({_own('poll_interval_seconds')})", "interval", "C"),
            unit="s",
            limits={"C": palette.TRANSITION},
        ),
        graph(
            "Age of the snapshot, compared with its limit",
            "Age of the last complete answer of crm_mon. Dashed: the age at which the exporter"
            " stops showing it.",
            half,
            query(_age(), "{{instance}}", "A"),
            query(f"max({_own('snapshot_max_age_seconds')})", "limit", "B"),
            unit="s",
            limits={"B": palette.FAILED},
        ),
        graph(
            "Failed polls, by outcome",
            "Polls of crm_mon that did not return the status of the cluster, in each interval.",
            half,
            query(failures.format(polls), "{{instance}} {{outcome}}"),
            bars=True,
            empty="No failed polls in this time range",
        ),
        graph(
            "Failed reads of the CIB, by outcome",
            "While an exporter cannot read the CIB, it judges by the configuration that it read"
            " last.",
            half,
            query(failures.format(reads), "{{instance}} {{outcome}}"),
            bars=True,
            empty="No failed reads in this time range",
        ),
        graph(
            "Scrape duration",
            "How long a scrape takes Prometheus.",
            third,
            query(f"{EACH} (scrape_duration_seconds{{{_JOB}}})", "{{instance}}"),
            unit="s",
        ),
        graph(
            "Samples per scrape",
            "Number of samples that each exporter returns.",
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
            "CPU usage of the exporter, relative to one core. It does not include crm_mon.",
            half,
            query(cpu, "{{instance}}"),
            unit="percentunit",
        ),
        alerts(half, HERE),
        _versions(),
    ):
        made = made.with_panel(panel)
    return made
