"""The CIB: how it is asked for, and the only reader of it.

It holds what crm_mon's XML lacks: promoted-max, replicas-per-host, and the cluster's name. The
details of a bundle are for `show --config` only: the metrics never see them, as they hold secrets.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lxml import etree

from exporter.command import Commands, Completed, last_line
from exporter.crm_mon import DISCONNECTED, INSUFFICIENT_PRIVILEGES
from exporter.errors import Outcome, PollError
from exporter.model import ENGINES, Ban, BundleConfiguration, Configuration
from exporter.xml import MalformedError, parse_document, required, to_int, to_score, where

REQUEST = ("--query", "--local", "--scope=configuration")
# The status, which is left out, is most of a CIB: 88 MB with 300 bundles of 8 on 32 nodes.
_BOOTSTRAP = "cib-bootstrap-options"

HIDDEN = "(hidden)"
# Names that look secret. Rather hide too much: `author` goes with `auth`.
_SECRET = re.compile(
    r"pass|psw|pwd|secret|token|cred|cookie|auth|salt|fernet|signature|priv(?!ileg)"
    r"|key(?!stone|word|board)",
    re.IGNORECASE,
)
# A word as a shell has it, with its quotes; an open quote goes on to the end.
_SHELL_WORD = re.compile(
    r"""(?:"(?:\\.|[^"\\])*"?|'[^']*'?|\\.?|[^\s"'\\])+""",
    re.DOTALL,
)
_QUOTES = re.compile(r"[\"'\\]")
# --env=NAME=, NAME=
_NAMES = re.compile(r"[^=]*=(?:[\w.-]+=)*")
# What can be shown of a value: no blanks, quotes, brackets, expansions, nor anybody's @.
_PLAIN = re.compile(r"[\w./:,+%-]*", re.ASCII)

Pairs = tuple[tuple[str, str], ...]
"""Names and values in the order of the CIB, as written there; a name may repeat."""


@dataclass(frozen=True, slots=True)
class PrimitiveDetails:
    """The configuration of a bundle's primitive."""

    id: str
    agent: str
    """With single colons; empty where a template has it."""
    instance_attributes: Pairs
    meta_attributes: Pairs
    operations: tuple[Pairs, ...]


@dataclass(frozen=True, slots=True)
class BundleDetails:
    """The whole configuration of a bundle, secrets included: see without_secrets."""

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


class UnknownBundleError(LookupError):
    """There is no such bundle; the message names those that there are."""


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
    return parse(output(completed))


def output(completed: Completed) -> bytes:
    """Return what cibadmin printed, if it ended well.

    Raises:
        PollError: it did not.

    """
    if completed.status == 0:
        return completed.stdout
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
    configuration = _configuration(data)
    return Configuration(
        cluster_name=_property(configuration, "cluster-name"),
        bundles={
            required(element, "id"): _bundle(element)
            for element in configuration.iterfind("resources//bundle")
        },
        preferences=tuple(_preferences(configuration)),
    )


def parse_bundle(data: bytes, bundle_id: str) -> BundleDetails:
    """Read all that a CIB has about one bundle.

    Raises:
        PollError: malformed, or without a configuration.
        UnknownBundleError: it has no such bundle.

    """
    found = {e.get("id", ""): e for e in _configuration(data).iterfind("resources//bundle")}
    element = found.get(bundle_id)
    if element is None:
        known = f"there are {', '.join(found)}" if found else "there are none"
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


def without_secrets(details: BundleDetails) -> BundleDetails:
    """Hide every value whose name looks secret, also where it stands in options or a command."""
    primitive = details.primitive
    return replace(
        details,
        container=_masked(details.container),
        network=_masked(details.network),
        port_mappings=tuple(map(_masked, details.port_mappings)),
        storage_mappings=tuple(map(_masked, details.storage_mappings)),
        primitive=primitive
        and replace(
            primitive,
            instance_attributes=_masked(primitive.instance_attributes),
            meta_attributes=_masked(primitive.meta_attributes),
            operations=tuple(map(_masked, primitive.operations)),
        ),
        meta_attributes=_masked(details.meta_attributes),
    )


def _configuration(data: bytes) -> etree._Element:
    root = parse_document(data, "cibadmin")
    if root.tag not in {"cib", "configuration"}:
        raise MalformedError(
            f"cibadmin printed XML that starts with {where(root)}, not with <configuration>"
        )
    configuration = root if root.tag == "configuration" else root.find("configuration")
    if configuration is None:
        raise PollError(Outcome.INCOMPLETE, "cibadmin printed a CIB without a configuration")
    return configuration


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
    engine = next(element.iterchildren(*ENGINES), element)
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
    agent = (element.get(name) for name in ("class", "provider", "type"))
    return PrimitiveDetails(
        id=required(element, "id"),
        agent=":".join(part for part in agent if part),
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
    """Return the name-value pairs of all sets of a kind, also of one that is defined elsewhere."""
    return tuple(
        (pair.get("name", ""), pair.get("value", ""))
        for found in element.iterchildren(tag)
        for pair in _defined(found).iterchildren("nvpair")
    )


def _defined(element: etree._Element) -> etree._Element:
    reference = element.get("id-ref")
    others = element.getroottree().getroot().iter(str(element.tag)) if reference else ()
    return next((other for other in others if other.get("id") == reference), element)


def _masked(pairs: Pairs) -> Pairs:
    return tuple(
        (name, HIDDEN if _SECRET.search(name) and value else _mask(value)) for name, value in pairs
    )


def _mask(text: str) -> str:
    """Hide values in a command line, or what may be one: of secret names, or not plain."""
    parts: list[str] = []
    position, hide_next = 0, False
    for match in _SHELL_WORD.finditer(text):
        word = match.group()
        parts.append(text[position : match.start()])
        position = match.end()
        if hide_next and word in {"=", ":"}:
            parts.append(word)
        elif hide_next and not word.startswith("--"):
            parts.append(HIDDEN)
            hide_next = False
        else:
            parts.append(_mask_word(word))
            hide_next = _is_followed_by_secret(_QUOTES.sub("", word))
    return "".join(parts) + text[position:]


def _is_followed_by_secret(bare: str) -> bool:
    """Whether a word without its quotes names what the next one is.

    As in --password x, requirepass x, password: x, PASSWORD= x, {"password": x.
    """
    if "/" in bare or not _SECRET.search(bare):
        return False
    return "=" not in bare or bare[-1] in "=:" or bare.count("{") > bare.count("}")


def _mask_word(word: str) -> str:
    names = _NAMES.match(word)
    if names is None:
        bare = _QUOTES.sub("", word)
        name, _, value = bare.partition(":")
        if value and "/" not in name and _SECRET.search(name):
            return f"{name}:{HIDDEN}"
        return word if _PLAIN.fullmatch(bare) else HIDDEN
    kept, value = names.group(), _QUOTES.sub("", word[names.end() :])
    if not value or (
        kept.isascii() and not _SECRET.search(_QUOTES.sub("", kept)) and _PLAIN.fullmatch(value)
    ):
        return word
    quote = word[0] if word[0] in "\"'" and word.endswith(word[0]) else ""
    return kept + HIDDEN + quote
