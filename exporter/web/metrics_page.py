"""The metrics page: the poller's page, and the metrics of the exporter itself."""

import gzip
from dataclasses import dataclass, field

from exporter.metrics.exporter import EXPORTER, Identity
from exporter.metrics.process import ProcessMetrics
from exporter.metrics.text import EOF, GZIP_LEVEL, Block, Format, join, render
from exporter.polling.state import State


@dataclass(slots=True)
class _Rendered:
    """The whole pages of one state and second."""

    key: tuple[int, int, bool]
    second: int
    rests: dict[Format, bytes] = field(default_factory=dict)
    """The text after the shared part of the poller's page, by format."""
    pages: dict[tuple[Format, bool], bytes] = field(default_factory=dict)
    """Pages by format and compression."""


class MetricsPage:
    """Assembles the metrics page.

    The metrics of the exporter itself are rendered at most once per state and second; scrapes
    within that second share them.
    """

    def __init__(self, process: ProcessMetrics, identity: Identity) -> None:
        """Args: the families of the process, constant facts."""
        self._process = process
        self._identity = identity
        self._rendered: _Rendered | None = None

    def whole(self, state: State, monotonic: float, form: Format, *, compress: bool) -> bytes:
        """Return the whole page.

        Args:
            state: the state to show, see State.at.
            monotonic: now, in seconds of the monotonic clock.
            form: the text format.
            compress: whether to compress with gzip.

        """
        rendered, second = self._rendered, int(monotonic)
        if rendered is None or rendered.key != state.key or rendered.second != second:
            rendered = self._rendered = _Rendered(state.key, second)
        page, key = state.page, (form, compress)
        if form not in rendered.rests:
            own = join(self._own(state), form) + self._process.text(form)
            rendered.rests[form] = page.counters(form) + own + EOF[form]
        if key not in rendered.pages:
            finish = page.gzip_followed_by if compress else page.followed_by
            rendered.pages[key] = finish(rendered.rests[form])
        return rendered.pages[key]

    def named(self, state: State, form: Format, names: frozenset[str], *, compress: bool) -> bytes:
        """Return only the families with these names."""
        blocks = (*state.page.blocks, *self._own(state))
        chosen = join((block for block in blocks if block.is_named(names)), form)
        page = chosen + self._process.text(form, names) + EOF[form]
        return gzip.compress(page, GZIP_LEVEL) if compress else page

    def _own(self, state: State) -> tuple[Block, ...]:
        return (*state.corosync_blocks, *render(EXPORTER, state.status(self._identity)))
