"""The complete configuration of a bundle in the CIB. It may contain secrets."""

from dataclasses import dataclass

Pairs = tuple[tuple[str, str], ...]
"""Names and values as written in the CIB and in its order. A name may repeat."""


@dataclass(frozen=True, slots=True)
class PrimitiveDetails:
    """The configuration of a bundle's primitive."""

    id: str
    agent: str
    """Agent with single colons; empty if only a template names it."""
    instance_attributes: Pairs
    meta_attributes: Pairs
    operations: tuple[Pairs, ...]


@dataclass(frozen=True, slots=True)
class BundleDetails:
    """The complete configuration of a bundle. It includes secrets: report.secrets hides them."""

    id: str
    engine: str
    """podman, docker, rkt or unknown."""
    container: Pairs
    """Attributes of the engine: image, replicas, promoted-max, options, run-command ..."""
    network: Pairs
    """ip-range-start, control-port, host-interface, host-netmask, add-host."""
    port_mappings: tuple[Pairs, ...]
    storage_mappings: tuple[Pairs, ...]
    primitive: PrimitiveDetails | None
    meta_attributes: Pairs
