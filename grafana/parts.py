"""What the dashboards are made of, so that each looks and behaves like the others."""

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
"""Whose view counts."""
TAG = "pacemaker"
OVERVIEW, BUNDLE, CLUSTER, EXPORTER = (
    f"pacemaker-{name}" for name in ("overview", "bundle", "cluster", "exporter")
)
"""Fixed: alerts link to them."""

Word = tuple[int | str, str, str]
"""A value, the word for it, and its colour, if it has one."""
Panel = TypeVar("Panel", stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel)

BUNDLE_STATES: Sequence[Word] = (
    (0, "well", palette.WELL),
    (1, "planned", palette.PLANNED),
    (2, "degraded", palette.WARNING),
    (3, "down", palette.CRITICAL),
)
"""The values of cluster_bundle:pacemaker_bundle_state:max."""
YES_IS_GOOD: Sequence[Word] = ((0, "no", palette.CRITICAL), (1, "yes", palette.WELL))
YES_IS_NEWS: Sequence[Word] = ((0, "no", palette.NOTHING), (1, "yes", palette.WARNING))
GIVES_UP: Sequence[Word] = ((0, "no", ""), (1, "yes", palette.CRITICAL))
"""Whether Pacemaker gives up on a node: there are as many failures as it puts up with."""
SEVERITIES: Sequence[Word] = (
    (1, "critical", palette.CRITICAL),
    (2, "warning", palette.WARNING),
    (3, "info", palette.PLANNED),
)


def query(expr: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """Ask over the time that is shown."""
    return (
        prometheus.Dataquery().expr(_lined(expr)).legend_format(legend).ref_id(ref).range()
    ).datasource(SOURCE)


def now(expr: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """Ask at the end of the time that is shown."""
    return query(expr, legend, ref).instant()


def rows(expr: str, ref: str = "A") -> prometheus.Dataquery:
    """Ask at the end of the time, for a table."""
    return now(expr, ref=ref).format(PromQueryFormat.TABLE)


def _lined(expr: str) -> str:
    return " ".join(expr.split())


def linked(expr: str, *labels: str) -> str:
    """Give each series the label `to`: the variables of the dashboard that leads on.

    A label that a series lacks, such as cluster, becomes an empty value there.
    """
    first, *more = labels
    expr = f'label_replace({expr}, "to", "var-{first}=$1", "{first}", "(.*)")'
    for label in more:
        expr = f'label_join({expr}, "to", "&var-{label}=", "to", "{label}")'
    return expr


def words(mapped: Iterable[Word]) -> model.ValueMapping:
    """Show words for values."""
    return model.ValueMap(
        {
            str(value): model.ValueMappingResult(text=text, color=color or None, index=index)
            for index, (value, text, color) in enumerate(mapped)
        }
    )


def steps(*limits: tuple[float | None, str]) -> board.ThresholdsConfig:
    """Colour by limits: from each one on, its colour."""
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
    """Make a tile to be read from afar: a number or a word on its colour."""
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
    title: str, description: str, size: tuple[int, int], *, have: str, want: str, bad: str = ""
) -> stat.Panel:
    """Make a tile that says `2 of 3`, coloured by what is missing.

    Args:
        title: of the panel.
        description: what is counted.
        size: width and height in units of the grid.
        have: a query for one number, the first that is shown.
        want: the second.
        bad: what is wrong, 0 for nothing, and from 1000 on for everything; else what the first is
            short of, and everything when it is 0.

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
        empty="not seen",
        text=options.BigValueTextMode.NAME,
    )


def color_of_all(color: str) -> model.DynamicConfigValue:
    """Give a query's values one colour, whatever they are."""
    step = {"value": None, "color": color}
    return model.DynamicConfigValue("thresholds", {"mode": "absolute", "steps": [step]})


def leads(uid: str) -> model.DynamicConfigValue:
    """Lead on to another dashboard, with the label `to`, at the same time."""
    return model.DynamicConfigValue("links", [_link(uid, "__field.labels")])


def _link(uid: str, labels: str) -> Mapping[str, str]:
    """Lead on with the label `to`, the same data source and the same time."""
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
    """Show states over time, one row for each series."""
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
    empty: str = "No data in this time",
    stepped: bool = False,
    bars: bool = False,
    thick: str = "",
    lines: Mapping[str, str] | None = None,
    limits: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """Show numbers over time.

    Args:
        title: of the panel.
        description: what is shown.
        size: width and height in units of the grid.
        queries: what is asked.
        unit: of the numbers.
        empty: what it means when there is nothing to show.
        stepped: for counts, which do not slide from one to the next.
        bars: for what happened in each interval, of a minute at least.
        thick: the query whose line others may lie upon, by its letter.
        lines: colours of queries, by their letter; the others have some of their own.
        limits: the same, of those that are drawn dashed.

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


# Grafana before 12.2 shows the column all the same.
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
    """A column of a table: what Prometheus calls it, its heading, and how it looks."""

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
        """Args: label or `Value #A`; heading; unit; pixels, or at least; words; limits; a link."""
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
    sort: tuple[str, bool] | None = None,
    hidden: Sequence[str] = (),
) -> table.Panel:
    """Show a table: the columns in their order, no others; sorted by a heading, descending or not.

    Queries are merged by the labels that they share, also where these lack the label cluster.
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
    if sort:
        heading, descending = sort
        by = common.TableSortByFieldState().display_name(heading).desc(descending)
        panel = panel.sort_by([by])
    return panel


def or_unseen(expr: str, label: str) -> str:
    """Add a row that says so, under a label, while no view of the cluster is trusted.

    Or an empty table would say that there is nothing where nothing is known.
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
    """Seconds that alerts have been firing for, and the object of each as the label `what`."""
    return f"""
        label_replace(label_join(
          max by (cluster, alertname, severity, bundle, replica, node, resource, target, instance) (
            time() - ALERTS_FOR_STATE{{alertname=~"Pacemaker.*", {matchers}}}
            and ignoring (alertstate)
            ALERTS{{alertname=~"Pacemaker.*", alertstate="firing", {matchers}}}
          ),
          "what", " ", "bundle", "replica", "node", "resource", "target", "instance"
        ), "what", "the cluster", "what", " *")
    """


def alerts(size: tuple[int, int], matchers: str, *, cluster: bool = False) -> table.Panel:
    """List the alerts that fire, the oldest of the worst first."""
    by = "alertname, severity, what" + (", cluster, to" if cluster else "")
    expr = linked(firing(matchers), "cluster") if cluster else firing(matchers)
    for number, severity, _ in SEVERITIES:
        expr = f'label_replace({expr}, "severity", "{number}", "severity", "{severity}")'
    columns = [
        Column("severity", "Severity", mapped=SEVERITIES, width=75),
        *([Column("cluster", "Cluster", narrow=120, uid=CLUSTER)] if cluster else []),
        Column("what", "What", narrow=100),
        Column("alertname", "Alert", width=265),
        Column("Value", "For", unit="dtdurations", width=90),
    ]
    return listing(
        "Firing alerts",
        "Alerts of this exporter's rules that fire, and since how long their condition holds."
        " What each means and what to do is in its runbook.",
        size,
        columns,
        rows(f"topk(50, max by ({by}) ({expr}))"),
        empty="No alert fires: good",
        sort=("Severity", False),
    )


def dashboard(
    uid: str, title: str, description: str, variables: Iterable[board.QueryVariable]
) -> board.Dashboard:
    """Begin a dashboard."""
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
    """Let the operator choose; several at once, and at first all, or one.

    Where no series has the label, one is the empty value, which matches them.
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
    """Narrow what lasts to its first minute, by labels."""
    return f"""
      max by ({by}) ({selected} {chosen}) > 0
      unless
      max by ({by}) ({selected} offset 1m) > 0
    """


def event(name: str, expr: str, color: str, title: str, text: str) -> board.AnnotationQuery:
    """Mark on every panel when something happened."""
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
