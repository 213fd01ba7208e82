"""Common parts of the dashboards, so that all of them look and behave alike."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    common,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana import palette

SOURCE = options.DataSourceRef(type_val="prometheus", uid="${datasource}")
CHOSEN = "and on (cluster, instance) instance:pacemaker_view:chosen"
"""Restricts a query to the view that counts."""
OURS = "(Pacemaker|Corosync|Sbd).*"
"""Names of our alerts."""
TAG = "pacemaker"
OVERVIEW, BUNDLE, CLUSTER, EXPORTER = (
    f"pacemaker-{name}" for name in ("overview", "bundle", "cluster", "exporter")
)
"""The dashboards' UIDs. Alerts link to them, so they must not change."""

Word = tuple[int | str, str, str]
"""A value, the word for it, and its colour or an empty string."""
Panel = TypeVar("Panel", stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel)

OK, REDUCED, NODE_LOST, CRITICAL, DEGRADED, DOWN, NOT_SEEN = range(7)
"""Codes of states of bundles and clusters, in order of severity."""
BUNDLE_STATES: Sequence[Word] = (
    (OK, "ok", palette.WELL),
    (REDUCED, "reduced", palette.WARNING),
    (DEGRADED, "degraded", palette.CRITICAL),
    (DOWN, "down", palette.CRITICAL),
)
"""The words and colours of the status page."""
YES_IS_GOOD: Sequence[Word] = ((0, "no", palette.CRITICAL), (1, "yes", palette.WELL))
YES_IS_NEWS: Sequence[Word] = ((0, "no", palette.NOTHING), (1, "yes", palette.WARNING))
GIVES_UP: Sequence[Word] = ((0, "no", ""), (1, "yes", palette.CRITICAL))
"""Whether Pacemaker gives up on a node, because the fail-count reached the threshold."""
CURRENT: Sequence[Word] = ((0, "not current", palette.WARNING), (1, "current", palette.WELL))
"""The values of pacemaker_configuration_current."""
SEVERITIES: Sequence[Word] = (
    (1, "critical", palette.CRITICAL),
    (2, "warning", palette.WARNING),
    (3, "info", palette.PLANNED),
)
MORE: Word = (-1, "more", "")
"""The value of the last row of a table that has been cut, which counts the other rows."""


def query(expr: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """Query over the selected time range."""
    return (
        prometheus.Dataquery().expr(_lined(expr)).legend_format(legend).ref_id(ref).range()
    ).datasource(SOURCE)


def now(expr: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """Query at the end of the selected time range."""
    return query(expr, legend, ref).instant()


def rows(expr: str, ref: str = "A") -> prometheus.Dataquery:
    """Query at the end of the selected time range, for a table."""
    return now(expr, ref=ref).format(PromQueryFormat.TABLE)


def _lined(expr: str) -> str:
    return " ".join(expr.split())


def bundle_states(matchers: str) -> str:
    """Query the code of each bundle's state; the worst if the trusted views differ."""
    coded = " or ".join(
        f"{bundle_state(word, matchers)} * {code}" for code, word, _ in BUNDLE_STATES
    )
    return f"max by (cluster, bundle) ({coded})"


def bundle_state(state: str, matchers: str) -> str:
    """Select bundles with a state, or states that a regular expression matches: 1 if they hold."""
    return f'cluster_bundle:pacemaker_bundle_state:max{{{matchers}, state=~"{state}"}}'


def spaced(expr: str, label: str) -> str:
    """Replace the underscores of a label's value, which has at most four words."""
    word = "_?([a-z]*)"
    return f'label_replace({expr}, "{label}", "$1 $2 $3 $4", "{label}", "([a-z]*){word * 3}")'


def linked(expr: str, *labels: str) -> str:
    """Add the label `to` to each series: the variables for a link to another dashboard.

    A label that a series does not have, such as cluster, becomes an empty value.
    """
    first, *more = labels
    expr = f'label_replace({expr}, "to", "var-{first}=$1", "{first}", "(.*)")'
    for label in more:
        expr = f'label_join({expr}, "to", "&var-{label}=", "to", "{label}")'
    return expr


def first(most: int, expr: str, label: str) -> str:
    """Query the highest values, and in a label of another series how many are not shown."""
    return f"topk({most}, {expr}) or {others(most, expr, label)}"


def others(most: int, expr: str, label: str) -> str:
    """Query a series with the value -1 that says in a label how many are not shown."""
    number = f'count_values("{label}", count({expr}) - {most} > 0) * -1'
    return f'label_replace({number}, "{label}", "$1 more are not shown", "{label}", "(.*)")'


def words(mapped: Iterable[Word]) -> model.ValueMapping:
    """Map values to words and colours."""
    return model.ValueMap(
        {
            str(value): model.ValueMappingResult(text=text, color=color or None, index=index)
            for index, (value, text, color) in enumerate(mapped)
        }
    )


def steps(*limits: tuple[float | None, str]) -> board.ThresholdsConfig:
    """Return thresholds: each colour applies from its limit upwards."""
    return (
        board.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value, color) for value, color in limits])
    )


PLAIN = steps((None, palette.NOTHING))
GOOD_AT_ZERO = steps((None, palette.WELL), (1, palette.CRITICAL))
WARN_ABOVE_ZERO = steps((None, palette.WELL), (1, palette.WARNING))


def _common(
    panel: Panel,
    title: str,
    description: str,
    size: tuple[int, int],
    queries: Iterable[prometheus.Dataquery],
) -> Panel:
    width, height = size
    panel = panel.title(title).description(description).span(width).height(height)
    for each in queries:
        panel = panel.with_target(each)
    return panel.datasource(SOURCE)


def big(
    title: str,
    description: str,
    size: tuple[int, int],
    *queries: prometheus.Dataquery,
    empty: str = "nothing",
    unit: str = "none",
    colors: board.ThresholdsConfig = PLAIN,
    mapped: Iterable[Word] = (),
    text: options.BigValueTextMode = options.BigValueTextMode.VALUE,
) -> stat.Panel:
    """Make a tile with a large number or word on its colour."""
    panel = (
        _common(stat.Panel(), title, description, size, queries)
        .unit(unit)
        .no_value(empty)
        .thresholds(colors)
        .color_scheme(board.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .color_mode(options.BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(options.BigValueGraphMode.NONE)
        .text_mode(text)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    if mapped:
        panel = panel.mappings([words(mapped)])
    return panel.decimals(0) if unit == "percentunit" else panel


def counts(
    title: str,
    description: str,
    size: tuple[int, int],
    *,
    have: str,
    want: str,
    bad: str = "",
    empty: str = "not seen",
) -> stat.Panel:
    """Make a tile such as `2 of 3`, coloured by the number that is missing.

    Args:
        title: Title of the panel.
        description: What the tile counts.
        size: Width and height in grid units.
        have: Query for the first number.
        want: Query for the second number.
        bad: Query for the colour: 0 is well, 1 to 999 a warning, 1000 and more critical. By
            default a warning if the first number is lower than the second, and critical if it is 0.
        empty: Text to show if there is no data.

    """
    bad = bad or f"{want} - {have} + 1000 * ({have} == bool 0) * ({want} > bool 0)"
    expr = f"""
      ({bad})
      * on () group_left (have) count_values("have", {have})
      * on () group_left (want) count_values("want", {want})
    """
    return big(
        title,
        description,
        size,
        now(expr, "{{have}} of {{want}}"),
        colors=steps((None, palette.WELL), (1, palette.WARNING), (1000, palette.CRITICAL)),
        empty=empty,
        text=options.BigValueTextMode.NAME,
    )


def color_of_all(color: str) -> model.DynamicConfigValue:
    """Give all values of a query the same colour."""
    step = {"value": None, "color": color}
    return model.DynamicConfigValue("thresholds", {"mode": "absolute", "steps": [step]})


def leads(uid: str) -> model.DynamicConfigValue:
    """Link to another dashboard, with the label `to` as its variables and the same time range."""
    return model.DynamicConfigValue("links", [_link(uid, "__field.labels")])


def _link(uid: str, labels: str) -> Mapping[str, str]:
    """Return a link with the label `to`, the same data source and the same time range."""
    url = f"/d/{uid}?${{{labels}.to:raw}}&${{datasource:queryparam}}&${{__url_time_range}}"
    return {"title": f"Open {uid}", "url": url}


def timeline(
    title: str,
    description: str,
    size: tuple[int, int],
    *queries: prometheus.Dataquery,
    mapped: Iterable[Word],
    empty: str,
) -> statetimeline.Panel:
    """Make a timeline of states with one row per series."""
    return (
        _common(statetimeline.Panel(), title, description, size, queries)
        .mappings([words(mapped)])
        .no_value(empty)
        .color_scheme(board.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .thresholds(PLAIN)
        .merge_values(True)
        .show_value(options.VisibilityMode.AUTO)
        .align_value(options.TimelineValueAlignment.LEFT)
        .row_height(0.85)
        .fill_opacity(90)
        .line_width(0)
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.SINGLE))
    )


def graph(
    title: str,
    description: str,
    size: tuple[int, int],
    *queries: prometheus.Dataquery,
    unit: str = "none",
    empty: str = "No data in this time range",
    stepped: bool = False,
    bars: bool = False,
    thick: str = "",
    lines: Mapping[str, str] | None = None,
    limits: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """Make a graph of numbers over time.

    Args:
        title: Title of the panel.
        description: What the graph shows.
        size: Width and height in grid units.
        queries: The queries.
        unit: Unit of the numbers.
        empty: Text to show if there is no data.
        stepped: Draw steps, for counts that change at once.
        bars: Draw bars, for events per interval of at least a minute.
        thick: Letter of the query with a thick line, which other lines may cover.
        lines: Colours of queries by letter. Grafana chooses the other colours.
        limits: Colours of queries with dashed lines, by letter.

    """
    if bars:
        queries = tuple(each.interval("1m") for each in queries)
    panel = (
        _common(timeseries.Panel(), title, description, size, queries)
        .unit(unit)
        .no_value(empty)
        .min(0)
        .color_scheme(board.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC))
        .line_width(2)
        .fill_opacity(70 if bars else 0)
        .show_points(options.VisibilityMode.NEVER)
        .draw_style(options.GraphDrawStyle.BARS if bars else options.GraphDrawStyle.LINE)
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI))
    )
    if unit == "none":
        panel = panel.decimals(0).axis_soft_max(1)
    if stepped:
        panel = panel.line_interpolation(options.LineInterpolation.STEP_AFTER)
    if thick:
        panel = panel.override_by_query(thick, [model.DynamicConfigValue("custom.lineWidth", 6)])
    for ref, color in (lines or {}).items():
        panel = panel.override_by_query(ref, [_fixed(color)])
    for ref, color in (limits or {}).items():
        panel = panel.override_by_query(
            ref,
            [
                _fixed(color),
                model.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}),
            ],
        )
    return panel


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(options.LegendDisplayMode.LIST)
        .placement(options.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs([])
    )


def _fixed(color: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})


# Grafana before 12.2 ignores this and shows the column.
_HIDDEN = model.DynamicConfigValue(
    "custom.hideFrom", {"legend": False, "tooltip": False, "viz": True}
)


_UNKNOWN = model.SpecialValueMap(
    model.DashboardSpecialValueMapOptions(
        match=model.SpecialValueMatch.NA_N,
        result=model.ValueMappingResult(text="-", index=99),
    )
)


class Column:
    """A column of a table: its field in Prometheus' answer, its heading and its format."""

    def __init__(
        self,
        field: str,
        heading: str,
        *,
        unit: str = "",
        width: int = 0,
        narrow: int = 0,
        mapped: Iterable[Word] = (),
        limits: tuple[tuple[float | None, str], ...] = (),
        uid: str = "",
    ) -> None:
        """Describe a column.

        Args:
            field: A label, or `Value #A` for the value of query A.
            heading: Heading of the column.
            unit: Unit of the values.
            width: Width in pixels.
            narrow: Minimum width in pixels.
            mapped: Words and colours for values.
            limits: Thresholds and their colours.
            uid: UID of the dashboard to which the cells link.

        """
        self.field = field
        self.heading = heading
        self.properties: list[model.DynamicConfigValue] = []
        mapped = tuple(mapped)
        if unit:
            self._set("unit", unit)
        if width:
            self._set("custom.width", width)
        if narrow:
            self._set("custom.minWidth", narrow)
        self._set("noValue", "-")
        self._set("mappings", [*([words(mapped)] if mapped else []), _UNKNOWN])
        if limits:
            found = [{"value": value, "color": color} for value, color in limits]
            self._set("thresholds", {"mode": "absolute", "steps": found})
        colored = any(color for _, _, color in mapped)
        if colored:
            self._set("custom.align", "left")
        if limits or colored:
            self._set("custom.cellOptions", {"type": "color-background", "mode": "basic"})
        if uid:
            self._set("links", [_link(uid, "__data.fields")])

    def _set(self, name: str, value: object) -> None:
        self.properties.append(model.DynamicConfigValue(name, value))


def listing(
    title: str,
    description: str,
    size: tuple[int, int],
    columns: Sequence[Column],
    *queries: prometheus.Dataquery,
    empty: str,
    sort: Sequence[tuple[str, bool]] = (),
    hidden: Sequence[str] = (),
) -> table.Panel:
    """Make a table with exactly these columns, sorted by headings (True: descending).

    Grafana merges the queries by their common labels, also if these do not include cluster.
    """
    known = [column.field for column in columns]
    panel = (
        _common(table.Panel(), title, description, size, queries)
        .no_value(empty)
        .thresholds(PLAIN)
        .color_scheme(board.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .show_header(True)
        .cell_height(options.TableCellHeight.SM)
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": dict.fromkeys(("Time", *hidden), True),
                    "indexByName": {name: index for index, name in enumerate(known)},
                    "renameByName": {column.field: column.heading for column in columns},
                },
            )
        )
        .override_by_name("to", [_HIDDEN])
    )
    for column in columns:
        panel = panel.override_by_name(column.heading, column.properties)
    return panel.sort_by(
        [
            common.TableSortByFieldState().display_name(heading).desc(descending)
            for heading, descending in sort
        ]
    )


def or_unseen(expr: str, label: str) -> str:
    """Add a row with a notice in the column of a label if the cluster has no trusted view.

    Otherwise an empty table would look as if there were no problems.
    """
    return f"""
      {expr}
      or
      max by ({label}) (
        label_replace(
          cluster:pacemaker_view_trusted:sum{{cluster="$cluster"}} == 0,
          "{label}", "NOT SEEN: no trusted view", "", ""
        )
      ) * NaN
    """


def firing(matchers: str) -> str:
    """Query how long alerts have been firing, in seconds, with their object as label `what`."""
    return f"""
        label_replace(label_join(
          max by (cluster, alertname, severity, bundle, bundle_replica, node, resource, target,
              instance) (
            time() - ALERTS_FOR_STATE{{alertname=~"{OURS}", {matchers}}}
            and ignoring (alertstate)
            ALERTS{{alertname=~"{OURS}", alertstate="firing", {matchers}}}
          ),
          "what", " ", "bundle", "bundle_replica", "node", "resource", "target", "instance"
        ), "what", "the cluster", "what", " *")
    """


_LISTED = 5
"""The number of subjects of an alert that have rows of their own."""
_ALERTS = 50
"""The number of rows of alerts."""
_AGE = 1_000_000_000
"""More seconds than an alert can last."""


def sortable(expr: str) -> str:
    """Replace severities by numbers that sort by severity; the mapping SEVERITIES shows words."""
    for number, severity, _ in SEVERITIES:
        expr = f'label_replace({expr}, "severity", "{number}", "severity", "{severity}")'
    return expr


def alerts(size: tuple[int, int], matchers: str, *, cluster: bool = False) -> table.Panel:
    """Make a table of firing alerts, sorted by severity, then age."""
    by = "cluster, alertname, severity"
    each = firing(matchers)
    number = f"count by ({by}) ({each})"
    one_by_one = f"{each} unless on ({by}) {number} > {_LISTED}"
    together = f"""
      label_replace(
        max by ({by}) ({each})
        * on ({by}) group_left (what) count_values by ({by}) ("what", {number} > {_LISTED}),
        "what", "$1 of them", "what", "(.*)"
      )
    """
    rank = " or ".join(
        f'ALERTS{{alertname=~"{OURS}", {matchers}, severity="{severity}"}} * {rank}'
        for rank, severity, _ in SEVERITIES
    )
    every = f"({one_by_one} or {together})"
    ranked = f"""
      {every}
      - on ({by}) group_left () max by ({by}) ({rank}) * {_AGE}
    """
    # Of too many alerts the most severe stay, and of these the oldest.
    first = sortable(f"(topk({_ALERTS}, {ranked}) % {_AGE} + {_AGE}) % {_AGE}")
    last = f'label_replace({others(_ALERTS, every, "what")} * NaN, "severity", "4", "", "")'
    expr = f"{first} or {last}"
    expr = linked(expr, "cluster") if cluster else expr
    shown = "alertname, severity, what" + (", cluster, to" if cluster else "")
    columns = [
        Column("severity", "Severity", mapped=(*SEVERITIES, (4, "more", "")), width=75),
        *([Column("cluster", "Cluster", narrow=120, uid=CLUSTER)] if cluster else []),
        Column("what", "What", narrow=100),
        Column("alertname", "Alert", width=265),
        Column("Value", "For", unit="dtdurations", width=90),
    ]
    return listing(
        "Firing alerts",
        "Firing alerts of this exporter's rules, and how long their condition has held. The runbook"
        f" of each alert explains what it means and what to do. An alert about more than {_LISTED}"
        f" subjects has one row. Shows at most {_ALERTS} rows, the most severe and oldest, and how"
        " many others there are.",
        size,
        columns,
        rows(f"max by ({shown}) ({expr})"),
        empty="No firing alerts",
        sort=[("Severity", False), ("For", True)],
    )


def dashboard(
    uid: str, title: str, description: str, variables: Iterable[board.QueryVariable]
) -> board.Dashboard:
    """Make a dashboard without panels."""
    made = (
        board.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("browser")
        .refresh("30s")
        .time("now-1h", "now")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .editable()
        .link(
            board.DashboardLink("Pacemaker")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
        .with_variable(
            board.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
    )
    for variable in variables:
        made = made.with_variable(variable)
    return made


def variable(
    name: str, label: str, asks: str, description: str, *, several: bool = False
) -> board.QueryVariable:
    """Make a variable that the operator selects: several values (at first all), or one.

    If the series do not have the label, the only value is empty, which matches them.
    """
    made = (
        board.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(SOURCE)
        .query(f"label_values({asks}, {name})")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
    )
    if several:
        every = model.VariableOption(selected=True, text=["All"], value=["$__all"])
        made = made.multi(True).include_all(True).all_value(".*").current(every)
    return made


def began(by: str, selected: str, chosen: str = "") -> str:
    """Query only the first minute of a condition, by labels."""
    return f"""
      max by ({by}) ({selected} {chosen}) > 0
      unless
      max by ({by}) ({selected} offset 1m) > 0
    """


def event(name: str, expr: str, color: str, title: str, text: str) -> board.AnnotationQuery:
    """Mark events on all panels."""
    return (
        board.AnnotationQuery()
        .name(name)
        .datasource(SOURCE)
        .enable(True)
        .icon_color(color)
        .expr(_lined(expr))
        .step("15s")
        .title_format(title)
        .text_format(text)
    )
