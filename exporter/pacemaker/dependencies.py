"""Reads mandatory orders and colocations, tickets and tags from the CIB.

Only what can hold a resource back is read ("Constraints" in Pacemaker Explained): an order with
kind Mandatory, a colocation with the score INFINITY, a ticket.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from lxml import etree

from exporter.cluster.configuration import Dependency, TicketDependency
from exporter.cluster.model import INFINITY
from exporter.pacemaker.xml import to_flag, to_score

_PROMOTED = frozenset({"promoted", "master"})
_RUNNING = frozenset({"", "started"}) | _PROMOTED
_STARTS = frozenset({"", "start", "promote"})


def read_dependencies(configuration: etree._Element) -> tuple[Dependency, ...]:
    """Read the orders and colocations of a CIB."""
    constraints = configuration.find("constraints")
    if constraints is None:
        return ()
    return (*_orders(constraints), *_colocations(constraints))


def read_ticket_dependencies(configuration: etree._Element) -> tuple[TicketDependency, ...]:
    """Read the ticket constraints of a CIB."""
    return tuple(
        found
        for element in configuration.iterfind("constraints/rsc_ticket")
        for found in _ticket(element)
    )


def read_tags(configuration: etree._Element) -> Mapping[str, tuple[str, ...]]:
    """Read the ids that each tag stands for."""
    return {
        tag.get("id", ""): tuple(ref.get("id", "") for ref in tag.iterchildren("obj_ref"))
        for tag in configuration.iterfind("tags/tag")
    }


def _members(resource_set: etree._Element) -> tuple[str, ...]:
    return tuple(ref.get("id", "") for ref in resource_set.iterchildren("resource_ref"))


def _orders(constraints: etree._Element) -> Iterator[Dependency]:
    for element in constraints.iterchildren("rsc_order"):
        if not _mandatory(element):
            continue
        name = element.get("id", "")
        sets = list(element.iterchildren("resource_set"))
        if sets:
            yield from _order_of_sets(name, sets)
            continue
        first = element.get("first-action", "").lower()
        then = element.get("then-action", "").lower() or first
        if first in _STARTS and then in _STARTS:
            yield Dependency(
                constraint=name,
                dependent=element.get("then", ""),
                on=(element.get("first", ""),),
                promotion_only=then == "promote",
                on_promoted=first == "promote",
            )


def _mandatory(order: etree._Element) -> bool:
    """Whether an order is mandatory. Without a kind, a score above 0 or none makes it so."""
    kind = order.get("kind")
    if kind is not None:
        return kind.lower() == "mandatory"
    score = order.get("score")
    return score is None or (to_score(score) or 0) > 0


def _order_of_sets(name: str, sets: list[etree._Element]) -> Iterator[Dependency]:
    """Yield: in a sequential set each member follows the last; each set follows the last set."""
    sets = [found for found in sets if found.get("action", "").lower() in _STARTS]
    for found in sets:
        promote = found.get("action", "").lower() == "promote"
        if to_flag(found.get("sequential")) is not False:
            for first, then in pairwise(_members(found)):
                yield Dependency(name, then, (first,), promotion_only=promote, on_promoted=promote)
    for first_set, then_set in pairwise(sets):
        members = _members(first_set)
        if not members:
            continue
        any_suffices = to_flag(first_set.get("require-all")) is False
        for needed in [members] if any_suffices else [(member,) for member in members]:
            for then in _members(then_set):
                yield Dependency(
                    constraint=name,
                    dependent=then,
                    on=needed,
                    promotion_only=then_set.get("action", "").lower() == "promote",
                    on_promoted=first_set.get("action", "").lower() == "promote",
                )


def _colocations(constraints: etree._Element) -> Iterator[Dependency]:
    for element in constraints.iterchildren("rsc_colocation"):
        if (to_score(element.get("score")) or 0) < INFINITY:
            continue
        name = element.get("id", "")
        sets = list(element.iterchildren("resource_set"))
        if sets:
            yield from _colocation_of_sets(name, sets)
            continue
        role = element.get("rsc-role", "").lower()
        with_role = element.get("with-rsc-role", "").lower()
        if role in _RUNNING and with_role in _RUNNING:
            yield Dependency(
                constraint=name,
                dependent=element.get("rsc", ""),
                on=(element.get("with-rsc", ""),),
                promotion_only=role in _PROMOTED,
                on_promoted=with_role in _PROMOTED,
            )


def _colocation_of_sets(name: str, sets: list[etree._Element]) -> Iterator[Dependency]:
    """Yield: in a sequential set each member joins the last; each set joins the next set."""
    sets = [found for found in sets if found.get("role", "").lower() in _RUNNING]
    for found in sets:
        promoted = found.get("role", "").lower() in _PROMOTED
        if to_flag(found.get("sequential")) is not False:
            for primary, dependent in pairwise(_members(found)):
                yield Dependency(
                    name, dependent, (primary,), promotion_only=promoted, on_promoted=promoted
                )
    for dependents, primaries in pairwise(sets):
        for dependent in _members(dependents):
            for primary in _members(primaries):
                yield Dependency(
                    constraint=name,
                    dependent=dependent,
                    on=(primary,),
                    promotion_only=dependents.get("role", "").lower() in _PROMOTED,
                    on_promoted=primaries.get("role", "").lower() in _PROMOTED,
                )


def _ticket(element: etree._Element) -> Iterator[TicketDependency]:
    """Read a ticket constraint.

    Without the ticket a constraint on the promoted role only demotes, unless its loss-policy is
    stop ("Multi-Site Clusters and Tickets" in Pacemaker Explained).
    """
    stops = element.get("loss-policy", "").lower() == "stop"
    name, ticket = element.get("id", ""), element.get("ticket", "")
    single = element.get("rsc")
    roles = [(single, element.get("rsc-role", ""))] if single else []
    roles += [
        (member, found.get("role", ""))
        for found in element.iterchildren("resource_set")
        for member in _members(found)
    ]
    for resource, role in roles:
        yield TicketDependency(
            name, resource, ticket, promotion_only=role.lower() in _PROMOTED and not stops
        )
