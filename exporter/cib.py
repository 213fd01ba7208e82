"""The CIB: how it is asked for, and the only reader of it.

It holds what crm_mon's XML lacks: promoted-max, replicas-per-host, and the cluster's name.
"""

from collections.abc import Iterator

from lxml import etree

from exporter.command import Commands, Completed, last_line
from exporter.crm_mon import DISCONNECTED, INSUFFICIENT_PRIVILEGES
from exporter.errors import Outcome, PollError
from exporter.model import Ban, BundleConfiguration, Configuration
from exporter.xml import MalformedError, parse_document, required, to_int, to_score, where

REQUEST = ("--query", "--local")
_ENGINES = ("podman", "docker", "rkt")
_BOOTSTRAP = "cib-bootstrap-options"


def ask(commands: Commands, path: str, timeout: float) -> Completed:
    """Run cibadmin for the local copy of the CIB, for at most `timeout` seconds.

    Raises:
        PollError: cibadmin could not be run to its end.

    """
    return commands.run((path, *REQUEST), timeout)


def read(completed: Completed) -> Configuration:
    """Turn what cibadmin left into the configuration.

    Raises:
        PollError: there is no CIB in it; says why.

    """
    if completed.status == 0:
        return parse(completed.stdout)
    outcome = {
        **dict.fromkeys(DISCONNECTED, Outcome.NOT_CONNECTED),
        INSUFFICIENT_PRIVILEGES: Outcome.PERMISSION_DENIED,
    }.get(completed.status, Outcome.EXIT_STATUS)
    reason = last_line(completed.stderr)
    raise PollError(outcome, f"cibadmin failed ({completed.how}): {reason}")


def parse(data: bytes) -> Configuration:
    """Read a CIB.

    Raises:
        PollError: malformed, or without a configuration.

    """
    root = parse_document(data, "cibadmin")
    if root.tag != "cib":
        raise MalformedError(f"cibadmin printed XML that starts with {where(root)}, not with <cib>")
    configuration = root.find("configuration")
    if configuration is None:
        raise PollError(Outcome.INCOMPLETE, "cibadmin printed a CIB without a configuration")
    return Configuration(
        cluster_name=_property(configuration, "cluster-name"),
        bundles={
            required(element, "id"): _bundle(element)
            for element in configuration.iterfind("resources//bundle")
        },
        preferences=tuple(_preferences(configuration)),
    )


def _property(configuration: etree._Element, name: str) -> str:
    """Return a cluster property: cib-bootstrap-options comes before any other set."""
    sets = configuration.findall("crm_config/cluster_property_set")
    for properties in sorted(sets, key=lambda element: element.get("id") != _BOOTSTRAP):
        for pair in properties.iterchildren("nvpair"):
            if pair.get("name") == name:
                return pair.get("value", "")
    return ""


def _bundle(element: etree._Element) -> BundleConfiguration:
    """Read a bundle as Pacemaker's scheduler does: what is no number counts as not set."""
    engine = next(element.iterchildren(*_ENGINES), element)
    # `masters` is the name of promoted-max before 2.0. Only a primitive can be promoted.
    promoted_max = to_int(engine.get("promoted-max", engine.get("masters")))
    return BundleConfiguration(
        promoted_max=max(promoted_max or 0, 0) if element.find("primitive") is not None else 0,
        replicas_per_host=max(to_int(engine.get("replicas-per-host")) or 1, 1),
    )


def _preferences(configuration: etree._Element) -> Iterator[Ban]:
    """Yield what moves left behind: constraints whose ids begin with cli-prefer-."""
    for element in configuration.iterfind("constraints/rsc_location"):
        constraint = element.get("id", "")
        if not constraint.startswith("cli-prefer-"):
            continue
        # With a lifetime, node and score are in a rule.
        rule = element.find("rule")
        node = element.find("rule/expression[@attribute='#uname']")
        yield Ban(
            constraint=constraint,
            resource=element.get("rsc", ""),
            node=element.get("node") or (node.get("value") if node is not None else None) or "",
            score=to_score((element if rule is None else rule).get("score")) or 0,
            promoted_only=element.get("role", "").lower() in {"promoted", "master"},
        )
