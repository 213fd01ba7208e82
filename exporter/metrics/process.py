"""The families process_* and python_*, from prometheus_client."""

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from exporter.metrics.text import EOF, Format


class ProcessMetrics:
    """The exporter's use of CPU, memory and file descriptors, and Python's garbage collections."""

    def __init__(self) -> None:
        """Use a separate registry, to avoid global state."""
        self._registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def text(self, form: Format, names: frozenset[str] = frozenset()) -> bytes:
        """Return all families, or only the named ones, without the end-of-page marker."""
        # The registry selects by names of samples; OpenMetrics names counters without _total.
        samples = names | {f"{name}_total" for name in names}
        registry = self._registry.restricted_registry(samples) if names else self._registry
        if form is Format.OPENMETRICS:
            text: bytes = generate_openmetrics(registry)  # type: ignore[no-untyped-call]  # it is untyped
            return text.removesuffix(EOF[form])
        return generate_latest(registry)
