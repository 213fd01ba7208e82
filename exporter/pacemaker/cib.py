"""Runs cibadmin and parses the CIB.

The CIB has what crm_mon's XML lacks: what should run, where it may run, and what it depends on.
Only `show --config` reads the details of a bundle. They may contain secrets, so metrics never do.
"""

from collections.abc import Iterator

from lxml import etree

from exporter.cluster.configuration import Configuration
from exporter.cluster.details import BundleDetails, Pairs, PrimitiveDetails
from exporter.cluster.model import ENGINES, Ban
from exporter.cluster.outcome import Failure, Outcome
from exporter.pacemaker.crm_mon import DISCONNECTED, INSUFFICIENT_PRIVILEGES
from exporter.pacemaker.dependencies import (
    read_dependencies,
    read_tags,
    read_ticket_dependencies,
)
from exporter.pacemaker.location import read_locations
from exporter.pacemaker.resources import agent_of, read_resources
from exporter.pacemaker.runner import Commands, Completed, last_line
from exporter.pacemaker.xml import (
    MalformedError,
    UnreadableError,
    parse_document,
    reading,
    required,
    to_flag,
    to_score,
    to_seconds,
    where,
)

REQUEST = ("--query", "--local", "--scope=configuration")
# Without the status, the largest part of a CIB: 88 MB with 300 bundles of 8 on 32 nodes.
_BOOTSTRAP = "cib-bootstrap-options"
AUTOMATIC = -1.0
"""Value of stonith-watchdog-timeout if Pacemaker calculates it from SBD_WATCHDOG_TIMEOUT."""


class UnknownBundleError(LookupError):
    """The CIB has no such bundle; the message lists the bundles that it has."""


def ask(commands: Commands, path: str, timeout: float) -> Completed | Failure:
    """Query the local copy of the CIB with cibadmin, for at most `timeout` seconds.

    Returns:
        The answer, or why cibadmin did not run to its end.

    """
    return commands.run((path, *REQUEST), timeout)


def read(answer: Completed | Failure) -> Configuration | Failure:
    """Parse an answer of cibadmin.

    Returns:
        The configuration, or why the answer has no CIB. A failure is returned unchanged.

    """
    data = output(answer)
    return data if isinstance(data, Failure) else reading("cibadmin", lambda: parse(data))


def read_bundle(answer: Completed | Failure, bundle_id: str) -> BundleDetails | Failure:
    """Parse the configuration of one bundle in an answer of cibadmin.

    Returns:
        The configuration, or why the answer has no CIB. A failure is returned unchanged.

    Raises:
        UnknownBundleError: the CIB has no such bundle.

    """
    data = output(answer)
    if isinstance(data, Failure):
        return data
    return reading("cibadmin", lambda: parse_bundle(data, bundle_id))


def output(answer: Completed | Failure) -> bytes | Failure:
    """Return the output of cibadmin, or why it failed."""
    if isinstance(answer, Failure):
        return answer
    if answer.status == 0:
        return answer.stdout
    outcome = {
        **dict.fromkeys(DISCONNECTED, Outcome.NOT_CONNECTED),
        INSUFFICIENT_PRIVILEGES: Outcome.PERMISSION_DENIED,
    }.get(answer.status, Outcome.EXIT_STATUS)
    return Failure(outcome, f"cibadmin failed ({answer.ending}): {last_line(answer.stderr)}")


def parse(data: bytes) -> Configuration:
    """Parse a CIB.

    Raises:
        UnreadableError: the CIB is malformed or has no configuration.
        MemoryError: there is not enough memory.

    """
    configuration = _configuration(data)
    found = read_resources(configuration)
    cluster_name = _property(configuration, "cluster-name")
    symmetric = to_flag(_property(configuration, "symmetric-cluster")) is not False
    return Configuration(
        cluster_name=cluster_name,
        bundles=found.bundles,
        preferences=tuple(_preferences(configuration)),
        resources=found.resources,
        dependencies=read_dependencies(configuration),
        ticket_dependencies=read_ticket_dependencies(configuration),
        locations=read_locations(configuration, symmetric=symmetric, cluster_name=cluster_name),
        aliases={**found.templates, **read_tags(configuration)},
        watchdog=to_flag(_property(configuration, "have-watchdog")),
        watchdog_timeout=_watchdog_timeout(configuration),
    )


def parse_bundle(data: bytes, bundle_id: str) -> BundleDetails:
    """Parse the complete configuration of one bundle in a CIB.

    Raises:
        UnreadableError: the CIB is malformed or has no configuration.
        MemoryError: there is not enough memory.
        UnknownBundleError: the CIB has no such bundle.

    """
    found = {e.get("id", ""): e for e in _configuration(data).iterfind("resources//bundle")}
    element = found.get(bundle_id)
    if element is None:
        known = f"the CIB has {', '.join(found)}" if found else "the CIB has no bundles"
        raise UnknownBundleError(f"no bundle {bundle_id}: {known}")
    engine = next(element.iterchildren(*ENGINES), None)
    primitive = element.find("primitive")
    return BundleDetails(
        id=bundle_id,
        engine="unknown" if engine is None else str(engine.tag),
        container=() if engine is None else _attributes(engine),
        network=tuple(pair for e in element.iterchildren("network") for pair in _attributes(e)),
        port_mappings=tuple(_attributes(e) for e in element.iterfind("network/port-mapping")),
        storage_mappings=tuple(_attributes(e) for e in element.iterfind("storage/storage-mapping")),
        primitive=None if primitive is None else _primitive(primitive),
        meta_attributes=_pairs(element, "meta_attributes"),
    )


def _configuration(data: bytes) -> etree._Element:
    root = parse_document(data, "cibadmin")
    if root.tag not in {"cib", "configuration"}:
        raise MalformedError(
            f"cibadmin printed XML that starts with {where(root)}, not with <configuration>"
        )
    configuration = root if root.tag == "configuration" else root.find("configuration")
    if configuration is None:
        raise UnreadableError(Outcome.INCOMPLETE, "cibadmin printed a CIB without a configuration")
    return configuration


def _property(configuration: etree._Element, name: str) -> str:
    """Return a cluster property; the set cib-bootstrap-options takes precedence."""
    sets = configuration.findall("crm_config/cluster_property_set")
    for properties in sorted(sets, key=lambda element: element.get("id") != _BOOTSTRAP):
        for pair in properties.iterchildren("nvpair"):
            if pair.get("name") == name:
                return pair.get("value", "")
    return ""


def _watchdog_timeout(configuration: etree._Element) -> float | None:
    # Newer versions of Pacemaker prefer the first name.
    names = ("fencing-watchdog-timeout", "stonith-watchdog-timeout")
    text = next(filter(None, (_property(configuration, name) for name in names)), "")
    if not text:
        return None
    seconds = to_seconds(text)
    # Pacemaker calculates the timeout itself if it cannot parse the value.
    return AUTOMATIC if seconds is None else seconds


def _preferences(configuration: etree._Element) -> Iterator[Ban]:
    """Yield the constraints that moves left behind: their ids begin with cli-prefer-."""
    for element in configuration.iterfind("constraints/rsc_location"):
        constraint = element.get("id", "")
        if not constraint.startswith("cli-prefer-"):
            continue
        # A constraint with a lifetime has node and score in a rule.
        rule = element.find("rule")
        node = element.find("rule/expression[@attribute='#uname']")
        score = to_score((element if rule is None else rule).get("score")) or 0
        if score <= 0:
            continue  # a ban, which crm_mon lists
        yield Ban(
            constraint=constraint,
            resource=element.get("rsc", ""),
            node=element.get("node") or (node.get("value") if node is not None else None) or "",
            score=score,
            promoted_only=element.get("role", "").lower() in {"promoted", "master"},
        )


def _primitive(element: etree._Element) -> PrimitiveDetails:
    return PrimitiveDetails(
        id=required(element, "id"),
        agent=agent_of(element),
        instance_attributes=_pairs(element, "instance_attributes"),
        meta_attributes=_pairs(element, "meta_attributes"),
        operations=tuple(
            (
                *((name, value) for name, value in _attributes(operation) if name != "id"),
                *_pairs(operation, "instance_attributes"),
                *_pairs(operation, "meta_attributes"),
            )
            for operation in element.iterfind("operations/op")
        ),
    )


def _attributes(element: etree._Element) -> Pairs:
    return tuple((str(name), str(value)) for name, value in element.attrib.items())


def _pairs(element: etree._Element, tag: str) -> Pairs:
    """Return the name-value pairs of all sets with a tag, also of referenced sets (id-ref)."""
    return tuple(
        (pair.get("name", ""), pair.get("value", ""))
        for found in element.iterchildren(tag)
        for pair in _defined(found).iterchildren("nvpair")
    )


def _defined(element: etree._Element) -> etree._Element:
    reference = element.get("id-ref")
    others = element.getroottree().getroot().iter(str(element.tag)) if reference else ()
    return next((other for other in others if other.get("id") == reference), element)
