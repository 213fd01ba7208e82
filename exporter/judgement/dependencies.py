"""Decides which resources are held back, because what they depend on is not to run.

A dependency that merely failed does not hold anything back: that is one fault with consequences.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from exporter.cluster.configuration import Configuration, ConfiguredResource, ResourceKind
from exporter.cluster.observation import Observation


class HoldReason(StrEnum):
    """What keeps a resource from running on purpose."""

    DISABLED = "disabled"
    """A resource that it depends on is disabled."""
    DEMOTED = "demoted"
    """A resource that must be promoted has the target-role Unpromoted."""
    TICKET = "ticket"
    """A ticket is not granted, or in standby."""
    STOP_ALL = "stop-all-resources"


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Why a resource is not to run."""

    reason: HoldReason
    name: str = ""
    """The resource at the beginning of the chain, or the ticket."""
    constraint: str = ""
    """The constraint of the resource that is held back; empty for the member of a group."""

    @property
    def words(self) -> str:
        """Return the reason as the end of a sentence that begins with `is held back by`."""
        if self.reason is HoldReason.TICKET:
            return f"ticket {self.name}, which is not granted"
        return f"{self.name}, which is {self.reason}" if self.name else str(self.reason)


class Dependencies:
    """Answers for each resource of a configuration whether it is held back."""

    def __init__(
        self, configuration: Configuration, granted: Mapping[str, bool], *, stop_all: bool
    ) -> None:
        """Args: the CIB, which known tickets are granted, whether stop-all-resources is set."""
        self._configuration = configuration
        self._granted = granted
        self._stop_all = stop_all
        self._known: dict[tuple[str, bool], HeldBack | None] = {}

    @classmethod
    def of(cls, observation: Observation) -> "Dependencies":
        """Return the dependencies in an observation; without the CIB there are none."""
        return cls(
            observation.configuration_or_empty,
            {ticket.id: ticket.granted and not ticket.standby for ticket in observation.tickets},
            stop_all=bool(observation.snapshot.cluster.stop_all_resources),
        )

    def held_back(self, resource: str) -> HeldBack | None:
        """Return why a resource is held back; None if it is not."""
        if self._stop_all:
            return HeldBack(HoldReason.STOP_ALL)
        return self._held_back(resource, promoted=False)

    def promotion_held_back(self, resource: str) -> HeldBack | None:
        """Return why a resource may not be promoted, though it may run; None if it may."""
        return self._held_back(resource, promoted=True)

    def _held_back(self, resource: str, *, promoted: bool) -> HeldBack | None:
        for part in self._parts(resource):
            for dependency in self._configuration.dependencies_of.get(part, ()):
                if dependency.promotion_only and not promoted:
                    continue
                reasons = [
                    self._any_not_to_run(name, promoted=dependency.on_promoted)
                    for name in dependency.on
                ]
                if reasons and reasons[0] and all(reasons):
                    return replace(reasons[0], constraint=dependency.constraint)
            for ticket in self._configuration.tickets_of.get(part, ()):
                # Without the states of tickets nothing is known, which excuses nothing.
                if self._granted.get(ticket.ticket, True):
                    continue
                if promoted or not ticket.promotion_only:
                    return HeldBack(HoldReason.TICKET, ticket.ticket, ticket.constraint)
        before = self._member_before(resource)
        reason = self._not_to_run(before, promoted=False) if before else None
        return replace(reason, constraint="") if reason else None

    def _parts(self, resource: str) -> Iterator[str]:
        """Yield the ids under which a constraint affects a resource as a whole."""
        for found in self._configuration.lineage(resource):
            yield found.id
        found_here = self._configuration.resources.get(resource)
        if found_here and found_here.kind in {ResourceKind.CLONE, ResourceKind.BUNDLE}:
            yield from found_here.children

    def _member_before(self, resource: str) -> str:
        """Return the member of a group before the one that the resource is or is part of."""
        for found in self._configuration.lineage(resource):
            parent = self._configuration.resources.get(found.parent)
            if parent and parent.kind is ResourceKind.GROUP and parent.in_order:
                place = parent.children.index(found.id)
                return parent.children[place - 1] if place else ""
        return ""

    def _any_not_to_run(self, name: str, *, promoted: bool) -> HeldBack | None:
        """Return why one of the resources that a name stands for is not to run."""
        for resource in self._configuration.named(name):
            reason = self._not_to_run(resource, promoted=promoted)
            if reason:
                return reason
        return None

    def _not_to_run(self, resource: str, *, promoted: bool) -> HeldBack | None:
        """Return why a resource is disabled or held back, or not to be promoted."""
        key = resource, promoted
        if key not in self._known:
            self._known[key] = None  # a circle of dependencies ends here
            self._known[key] = self._find_why_not_to_run(resource, promoted=promoted)
        return self._known[key]

    def _find_why_not_to_run(self, resource: str, *, promoted: bool) -> HeldBack | None:
        found = self._configuration.resources.get(resource)
        if found is None:
            return None
        # The members of groups and clones inherit the role, and may have another.
        if found.kind in {ResourceKind.PRIMITIVE, ResourceKind.BUNDLE}:
            if found.disabled:
                return HeldBack(HoldReason.DISABLED, found.id)
            if promoted and found.demoted:
                return HeldBack(HoldReason.DEMOTED, found.id)
        for member in self._needed_members(found):
            reason = self._not_to_run(member, promoted=promoted)
            if reason:
                # Whoever disables the primitive of a clone or bundle disables that.
                whole = found.kind is not ResourceKind.GROUP or found.disabled
                return replace(reason, name=found.id) if whole and reason.name == member else reason
        return self._held_back(resource, promoted=promoted)

    def _needed_members(self, found: ConfiguredResource) -> tuple[str, ...]:
        """Return the members that run if the whole does.

        The last member of a group runs only if all before it do. An instance of a cloned group has
        a place as soon as its first member does (crm_simulate 2.1.5).
        """
        if found.kind is not ResourceKind.GROUP or not found.in_order:
            return found.children
        parent = self._configuration.resources.get(found.parent)
        return found.children[:1] if parent else found.children[-1:]
