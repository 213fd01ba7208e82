"""Content negotiation: the headers Accept and Accept-Encoding (RFC 9110, 12.5)."""

from exporter.metrics.text import Format

_OPENMETRICS = "application/openmetrics-text"


def choose_format(accept: str) -> Format:
    """Return OpenMetrics if the client names it and does not prefer text, as Prometheus does."""
    weights = _weights(accept)
    openmetrics = weights.get(_OPENMETRICS, 0.0)
    text = max(weights.get(name, 0.0) for name in ("text/plain", "text/*", "*/*"))
    return Format.OPENMETRICS if openmetrics and openmetrics >= text else Format.TEXT


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the client accepts gzip, by name or with `*`."""
    weights = _weights(accept_encoding)
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weights(header: str) -> dict[str, float]:
    """Return the highest weight of each name; an invalid weight counts as 0."""
    weights: dict[str, float] = {}
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                weight = _number(value)
        weights[name] = max(weight, weights.get(name, 0.0))
    return weights


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
