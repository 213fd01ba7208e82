"""Mutates XML, most often into other well-formed XML."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random

from lxml import etree

_TAGS = """
attribute ban bans bundle bundles cib clone cluster_options cluster_property_set configuration
constraints crm-mon-disconnected crm_config crm_mon current_dc docker error errors expression
failure failures fence_event fence_history group instance_attributes last_change meta_attributes
network node node_attributes node_history nodes nodes_configured nvpair op operations
pacemaker-result podman port-mapping primitive replica resource resource_history resources
resources_configured rkt rsc_location rule stack status storage storage-mapping summary ticket
tickets
"""
_ATTRIBUTES = """
action active api-version attribute blocked class code completed disabled exit-reason exitcode
exitreason expected_up fail-count failed failure_ignored feature_set fencing-enabled granted health
id id-ref id_as_resource image is_dc last-failure last-rc-change maintenance maintenance-mode
managed master_only masters migration-threshold mixed_version name node number online op_key options
orphaned origin pending present promoted-max promoted-only provider removed replicas-per-host
resource resource_agent resources_running role rsc run-command score shutdown standby standby_onfail
status stonith-enabled stop-all-resources symmetric-cluster target target_role task time type
unclean unique uname value version weight with_quorum
"""
_VALUES = """
true false yes no 0 1 -1 007 +3 1_0 0x1 1e3 1e400 -0.0 .5 nan inf INFINITY -INFINITY
Started Stopped Promoted Unpromoted Master Slave Starting Migrating Monitoring
member remote guest ping podman docker rkt green yellow red granted revoked
ocf::heartbeat:podman ocf:heartbeat:IPaddr2 ocf:pacemaker:remote systemd:x
web-bundle web-bundle-0 web-bundle-podman-0 web-bundle-docker-0 web-bundle-ip-::1
cli-prefer-a cli-ban-b cib-bootstrap-options cluster-name #uname a:0 : :0 ::
a_monitor_10000 a_migrate_to_0 _ __0 _x_1 102 107 4 64 password --password=x
"""

TAGS = tuple(_TAGS.split())
ATTRIBUTES = tuple(_ATTRIBUTES.split())
VALUES = (
    *_VALUES.split(),
    "",
    " ",
    "\n",
    "a\nb\\\"'\r\t",
    "--password 'a b\\",
    "é\x85\u2028\U0001f600\u0663",
    "&amp;&lt;&#0;&#xD800;",
    "9" * 310,
    "9" * 5000,
    "Sun Sep 13 12:26:40 2020",
    "Mon Jan  1 00:00:00 0001",
    "Fri Dec 31 23:59:59 9999",
    "2020-09-13 12:26:40Z",
    "0001-01-01 00:00:00 +23:59",
    "2020-09-13 12:26:40 -05:00:00.5",
    "2020-02-30 12:26:60 +9999",
)

_MANY = 1000
"""Elements; a document that has them grows no more."""


def mutate(data: bytes, random: Random) -> bytes:
    """Change a document in a few places; ill-formed input, and some well-formed, as bytes."""
    try:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except (etree.XMLSyntaxError, ValueError):
        return mutate_bytes(data, random)
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        elements = [element for element in root.iter() if isinstance(element.tag, str)]
        random.choice(_MUTATIONS)(random.choice(elements), elements, random)
    result = etree.tostring(root)
    return mutate_bytes(result, random) if random.random() < 0.1 else result


def mutate_bytes(data: bytes, random: Random) -> bytes:
    """Truncate, delete, repeat or overwrite bytes."""
    start, end = sorted((random.randint(0, len(data)), random.randint(0, len(data))))
    match random.randrange(4):
        case 0:
            return data[:start]
        case 1:
            return data[:start] + data[end:]
        case 2 if len(data) < 100 * _MANY:
            return data[:end] + data[start:]
        case _:
            noise = bytes(random.randrange(256) for _ in range(random.choice((1, 2, 4))))
            return data[:start] + noise + data[start + len(noise) :]


def _change_value(element: etree._Element, _: Sequence[etree._Element], random: Random) -> None:
    if element.attrib:
        element.set(random.choice(element.keys()), random.choice(VALUES))


def _take_value(
    element: etree._Element, elements: Sequence[etree._Element], random: Random
) -> None:
    """Copy the value of an attribute from elsewhere."""
    other = random.choice(elements)
    if element.attrib and other.attrib:
        name = random.choice(element.keys())
        value = other.get(name)
        element.set(name, other.get(random.choice(other.keys()), "") if value is None else value)


def _add_attribute(element: etree._Element, _: Sequence[etree._Element], random: Random) -> None:
    element.set(random.choice(ATTRIBUTES), random.choice(VALUES))


def _drop_attribute(element: etree._Element, _: Sequence[etree._Element], random: Random) -> None:
    if element.attrib:
        del element.attrib[random.choice(element.keys())]


def _reorder_attributes(
    element: etree._Element, _: Sequence[etree._Element], random: Random
) -> None:
    pairs = [(name, element.get(name, "")) for name in element.keys()]  # noqa: SIM118 - lxml's
    random.shuffle(pairs)
    element.attrib.clear()
    for name, value in pairs:
        element.set(name, value)


def _rename(element: etree._Element, _: Sequence[etree._Element], random: Random) -> None:
    element.tag = random.choice(TAGS)


def _drop(element: etree._Element, _: Sequence[etree._Element], random: Random) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _add(element: etree._Element, _: Sequence[etree._Element], random: Random) -> None:
    new = etree.SubElement(element, random.choice(TAGS))
    for _number in range(random.randrange(4)):
        new.set(random.choice(ATTRIBUTES), random.choice(VALUES))


def _add_text(element: etree._Element, _: Sequence[etree._Element], random: Random) -> None:
    element.text = random.choice(VALUES)
    if random.randrange(2):
        element.append(random.choice((etree.Comment("c"), etree.PI("p", "i"))))


def _duplicate(element: etree._Element, elements: Sequence[etree._Element], random: Random) -> None:
    """Insert a copy, most often beside the original."""
    parent = element.getparent()
    if parent is None or not random.randrange(4):
        parent = random.choice(elements)
    if len(elements) < _MANY:
        parent.insert(random.randint(0, len(parent)), deepcopy(element))


def _reorder(element: etree._Element, _: Sequence[etree._Element], random: Random) -> None:
    children = list(element)
    random.shuffle(children)
    element[:] = children


def _nest(element: etree._Element, _: Sequence[etree._Element], random: Random) -> None:
    """Wrap the element, sometimes deeply."""
    parent = element.getparent()
    if parent is None:
        return
    position = parent.index(element)
    outer = inner = etree.Element(random.choice(TAGS), id="w")
    for _number in range(random.choice((0, 0, 0, 1, 300))):
        inner = etree.SubElement(inner, outer.tag, id="w")
    parent.insert(position, outer)
    inner.append(element)


_MUTATIONS: Sequence[Callable[[etree._Element, Sequence[etree._Element], Random], None]] = (
    _change_value,
    _change_value,
    _take_value,
    _take_value,
    _add_attribute,
    _drop_attribute,
    _drop_attribute,
    _reorder_attributes,
    _rename,
    _drop,
    _add,
    _add_text,
    _duplicate,
    _duplicate,
    _reorder,
    _nest,
)
