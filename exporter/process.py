"""The process_*, python_* families, as prometheus_client makes them."""

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from exporter.exposition import EOF, Format


class ProcessMetrics:
    """What the exporter costs: CPU, memory, descriptors, garbage collections."""

    def __init__(self) -> None:
        """Collect into a registry of its own: the global one belongs to nobody."""
        self._registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def text(self, form: Format, names: frozenset[str] = frozenset()) -> bytes:
        """Return the families, or the named ones, without what closes a page."""
        # It goes by the names of samples; a counter's family has another in OpenMetrics.
        samples = names | {f"{name}_total" for name in names}
        registry = self._registry.restricted_registry(samples) if names else self._registry
        if form is Format.OPENMETRICS:
            text: bytes = generate_openmetrics(registry)  # type: ignore[no-untyped-call]  # theirs
            return text.removesuffix(EOF[form])
        return generate_latest(registry)
