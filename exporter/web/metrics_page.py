"""The page that Prometheus scrapes: the poller's bytes, and the exporter's own few lines."""

import gzip
from dataclasses import dataclass, field

from exporter.exposition import EMPTY, EOF, GZIP_LEVEL, Format, Page, join, render
from exporter.families import EXPORTER
from exporter.process import ProcessMetrics
from exporter.state import View


@dataclass(slots=True)
class _Rendered:
    """Whole pages of one moment, by format and compression."""

    view: View
    second: int
    rests: dict[Format, bytes] = field(default_factory=dict)
    """What follows the poller's bytes, the same with and without compression."""
    pages: dict[tuple[Format, bool], bytes] = field(default_factory=dict)


class MetricsPage:
    """Puts pages together.

    The exporter's own lines are made anew for each state, and at least once a second; scrapes
    within that second share them.
    """

    def __init__(self, process: ProcessMetrics) -> None:
        """Args: the process_* families."""
        self._process = process
        self._rendered: _Rendered | None = None

    def whole(self, view: View, monotonic: float, form: Format, *, compress: bool) -> bytes:
        """Return the whole page."""
        rendered, second = self._rendered, int(monotonic)
        if (
            rendered is None
            or rendered.view.state is not view.state
            or rendered.view.fresh is not view.fresh
            or rendered.second != second
        ):
            rendered = self._rendered = _Rendered(view, second)
        page, key = _page(view), (form, compress)
        if form not in rendered.rests:
            own = join(render(EXPORTER, view), form) + self._process.text(form)
            rendered.rests[form] = page.counters(form) + own + EOF[form]
        if key not in rendered.pages:
            finish = page.gzip_followed_by if compress else page.followed_by
            rendered.pages[key] = finish(rendered.rests[form])
        return rendered.pages[key]

    def named(self, view: View, form: Format, names: frozenset[str], *, compress: bool) -> bytes:
        """Return the families of these names only."""
        blocks = (*_page(view).blocks, *render(EXPORTER, view))
        chosen = join((block for block in blocks if block.answers_to(names)), form)
        page = chosen + self._process.text(form, names) + EOF[form]
        return gzip.compress(page, GZIP_LEVEL) if compress else page


def _page(view: View) -> Page:
    return view.sighting.page if view.sighting else EMPTY
