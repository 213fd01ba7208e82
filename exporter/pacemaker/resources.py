"""Reads the resources of a CIB, with the meta attributes that decide what should run."""

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from exporter.cluster.configuration import BundleConfiguration, ConfiguredResource, ResourceKind
from exporter.cluster.model import ENGINES
from exporter.pacemaker.xml import required, to_flag, to_int, to_score

_KINDS = {
    "primitive": ResourceKind.PRIMITIVE,
    "group": ResourceKind.GROUP,
    "clone": ResourceKind.CLONE,
    "master": ResourceKind.CLONE,  # a promotable clone before Pacemaker 2.0
    "bundle": ResourceKind.BUNDLE,
}


@dataclass(frozen=True, slots=True)
class ReadResources:
    """All that this module reads."""

    resources: Mapping[str, ConfiguredResource]
    bundles: Mapping[str, BundleConfiguration]
    templates: Mapping[str, tuple[str, ...]]
    """The primitives made from each template: a constraint may name the template."""


def read_resources(configuration: etree._Element) -> ReadResources:
    """Read the section `resources` of a CIB.

    Raises:
        MalformedError: a resource has no id.

    """
    return _Reader(configuration).read()


def agent_of(element: etree._Element) -> str:
    """Return the agent of a primitive or template with single colons; empty if it has none."""
    parts = (element.get(name) for name in ("class", "provider", "type"))
    return ":".join(part for part in parts if part)


class _Reader:
    def __init__(self, configuration: etree._Element) -> None:
        self._section = configuration.find("resources")
        self._templates = {e.get("id", ""): e for e in configuration.iterfind("resources/template")}
        self._sets = {
            e.get("id", ""): e for e in configuration.iter("meta_attributes") if e.get("id")
        }
        self._defaults = self._meta(configuration.find("rsc_defaults"))
        self._resources: dict[str, ConfiguredResource] = {}
        self._bundles: dict[str, BundleConfiguration] = {}
        self._made_from: dict[str, list[str]] = {}

    def read(self) -> ReadResources:
        if self._section is not None:
            self._read_children(self._section, "", {})
        return ReadResources(
            self._resources,
            self._bundles,
            {template: tuple(ids) for template, ids in self._made_from.items()},
        )

    def _read_children(
        self, parent: etree._Element, parent_id: str, inherited: Mapping[str, str]
    ) -> tuple[str, ...]:
        return tuple(
            self._read(element, parent_id, inherited) for element in parent.iterchildren(*_KINDS)
        )

    def _read(self, element: etree._Element, parent: str, inherited: Mapping[str, str]) -> str:
        name = required(element, "id")
        kind = _KINDS[str(element.tag)]
        template = self._templates.get(element.get("template", ""))
        if template is not None:
            self._made_from.setdefault(template.get("id", ""), []).append(name)
        # The first of these that has an attribute decides.
        meta = {**inherited, **self._meta(template), **self._meta(element)}
        children = self._read_children(element, name, meta)
        effective = {**self._defaults, **meta}
        self._resources[name] = ConfiguredResource(
            id=name,
            kind=kind,
            parent=parent,
            children=children,
            agent=agent_of(element) or ("" if template is None else agent_of(template)),
            target_role=effective.get("target-role", "").lower(),
            maintenance=bool(to_flag(effective.get("maintenance"))),
            instances_max=to_int(meta.get("clone-max")),
            instances_per_node=max(to_int(meta.get("clone-node-max")) or 1, 1),
            in_order=to_flag(meta.get("ordered")) is not False
            or to_flag(meta.get("collocated")) is not False,
        )
        if kind is ResourceKind.BUNDLE:
            self._bundles[name] = _bundle(element, meta)
        return name

    def _meta(self, element: etree._Element | None) -> dict[str, str]:
        """Return the meta attributes of an element, without its parents'.

        Of several sets the one with the highest score counts first. A set with a rule is left out:
        it applies only at times, or to some resources.
        """
        if element is None:
            return {}
        sets = [
            self._sets.get(found.get("id-ref", ""), found)
            for found in element.iterchildren("meta_attributes")
        ]
        found: dict[str, str] = {}
        for pairs in sorted(sets, key=lambda e: to_score(e.get("score")) or 0):
            if pairs.find("rule") is None:
                own: dict[str, str] = {}
                for pair in pairs.iterchildren("nvpair"):
                    own.setdefault(pair.get("name", ""), pair.get("value", ""))
                found.update(own)
        return found


def _bundle(element: etree._Element, meta: Mapping[str, str]) -> BundleConfiguration:
    """Read a bundle. As in Pacemaker's scheduler, a value that is not a number counts as unset.

    promoted-max was named `masters` before 2.0. Only a primitive can be promoted. The clone that
    Pacemaker makes of it inherits the bundle's meta attributes: promotable=true there makes it
    promotable, too (seen in the scheduler suite of 2.1, bundle-promoted-*).
    """
    engine = next(element.iterchildren(*ENGINES), element)
    promoted_max = max(to_int(engine.get("promoted-max", engine.get("masters"))) or 0, 0)
    if not promoted_max and to_flag(meta.get("promotable")):
        limit = to_int(meta.get("promoted-max", meta.get("master-max")))
        promoted_max = 1 if limit is None else max(limit, 0)
    return BundleConfiguration(
        promoted_max=promoted_max if element.find("primitive") is not None else 0,
        replicas_per_host=max(to_int(engine.get("replicas-per-host")) or 1, 1),
    )
