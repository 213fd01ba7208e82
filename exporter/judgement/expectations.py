"""Says in words why fewer replicas are expected of a bundle than are configured."""

from collections.abc import Iterator

from exporter.judgement.bundles import BundleJudgement
from exporter.judgement.problem import listed


def why_fewer(judged: BundleJudgement) -> tuple[str, ...]:
    """Return why fewer replicas are expected than configured; empty if all are expected."""
    return tuple(_why_fewer(judged)) if judged.expected < judged.replicas else ()


def _why_fewer(judged: BundleJudgement) -> Iterator[str]:
    if judged.disabled:
        yield "disabled"
    elif judged.held_back:
        yield f"held back by {judged.held_back.words}"
    else:
        if judged.short_of_nodes_in_service:
            names = sorted(judged.out_of_service)
            verb = "is" if len(names) == 1 else "are"
            yield f"{listed(names)} {verb} out of service"
        if judged.short_of_nodes:
            count = len(judged.eligible)
            nodes = "1 node" if count == 1 else f"{count} nodes"
            each = judged.replicas_per_host
            yield f"only {nodes} may host it" + (f", {each} replicas each" if each > 1 else "")
