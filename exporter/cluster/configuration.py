"""The parts of the CIB that the exporter reads: what should run, and what it depends on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from exporter.cluster.location import Locations
from exporter.cluster.model import STOPPED, UNPROMOTED, Ban


class ResourceKind(StrEnum):
    """The element that defines a resource in the CIB."""

    PRIMITIVE = "primitive"
    GROUP = "group"
    CLONE = "clone"
    BUNDLE = "bundle"


@dataclass(frozen=True, slots=True)
class ConfiguredResource:
    """A resource as the CIB defines it."""

    id: str
    kind: ResourceKind
    parent: str = ""
    """Id of the group, clone or bundle around it."""
    children: tuple[str, ...] = ()
    agent: str = ""
    """Agent of a primitive with single colons."""
    target_role: str = ""
    """target-role in lower case: its own, else its template's, its parent's or that of
    rsc_defaults ("Resource Meta-Attributes" in Pacemaker Explained)."""
    maintenance: bool = False
    """The meta attribute maintenance, found in the same way."""
    instances_max: int | None = None
    """clone-max of a clone; None for its default, the number of nodes."""
    instances_per_node: int = 1
    """clone-node-max of a clone."""
    in_order: bool = True
    """Each member of a group depends on the one before it. False with ordered=false and
    collocated=false."""

    @property
    def disabled(self) -> bool:
        """Its target-role is Stopped."""
        return self.target_role == STOPPED

    @property
    def demoted(self) -> bool:
        """Its target-role is Unpromoted."""
        return self.target_role in UNPROMOTED


@dataclass(frozen=True, slots=True)
class BundleConfiguration:
    """Settings of a bundle that are in the CIB but not in crm_mon's XML."""

    promoted_max: int
    """0 if the bundle is not promotable."""
    replicas_per_host: int


@dataclass(frozen=True, slots=True)
class Dependency:
    """A mandatory order or colocation: one resource runs only if others run.

    Resources are named as in the CIB: a tag or a template stands for several.
    """

    constraint: str
    dependent: str
    on: tuple[str, ...]
    """The resources that it depends on. One of them suffices (require-all=false in a set)."""
    promotion_only: bool = False
    """Only the promotion of the dependent resource depends on it."""
    on_promoted: bool = False
    """The other resource must be promoted."""


@dataclass(frozen=True, slots=True)
class TicketDependency:
    """A resource runs only while a ticket is granted (rsc_ticket)."""

    constraint: str
    dependent: str
    ticket: str
    promotion_only: bool = False
    """Without the ticket the resource is demoted and goes on."""


AnyDependency = TypeVar("AnyDependency", Dependency, TicketDependency)


@dataclass(frozen=True)
class Configuration:
    """The parts of the CIB that the exporter reads."""

    cluster_name: str = ""
    bundles: Mapping[str, BundleConfiguration] = field(default_factory=dict)
    preferences: tuple[Ban, ...] = ()
    """Constraints left by pcs resource move: crm_mon lists only negative constraints."""
    resources: Mapping[str, ConfiguredResource] = field(default_factory=dict)
    dependencies: tuple[Dependency, ...] = ()
    ticket_dependencies: tuple[TicketDependency, ...] = ()
    locations: Locations = field(default_factory=Locations)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The resources that a tag or a template stands for in a constraint."""
    watchdog: bool | None = None
    """have-watchdog: Pacemaker found SBD running. None if the CIB does not have it."""
    watchdog_timeout: float | None = None
    """Seconds of stonith-watchdog-timeout; -1 if Pacemaker is to calculate it, None if not set."""

    def named(self, name: str) -> Iterator[str]:
        """Yield the resources that a name in a constraint stands for."""
        yield from self.aliases.get(name, ()) or (name,)

    def lineage(self, resource: str) -> Iterator[ConfiguredResource]:
        """Yield a resource and what it is part of, from the inside out."""
        found = self.resources.get(resource)
        while found is not None:
            yield found
            found = self.resources.get(found.parent)

    @cached_property
    def dependencies_of(self) -> Mapping[str, tuple[Dependency, ...]]:
        """The dependencies of each dependent resource."""
        return _by_resource(self, self.dependencies)

    @cached_property
    def needed_tickets(self) -> frozenset[str]:
        """The tickets that something depends on."""
        return frozenset(dependency.ticket for dependency in self.ticket_dependencies)

    @cached_property
    def tickets_of(self) -> Mapping[str, tuple[TicketDependency, ...]]:
        """The ticket dependencies of each dependent resource."""
        return _by_resource(self, self.ticket_dependencies)


def _by_resource(
    configuration: Configuration, dependencies: Iterable[AnyDependency]
) -> Mapping[str, tuple[AnyDependency, ...]]:
    found: dict[str, list[AnyDependency]] = {}
    for dependency in dependencies:
        for resource in configuration.named(dependency.dependent):
            found.setdefault(resource, []).append(dependency)
    return {resource: tuple(some) for resource, some in found.items()}
