"""CIBs of resources that depend on each other, for the real scheduler."""

from collections.abc import Iterable
from dataclasses import dataclass

NODES = ("n1", "n2", "n3")
_AGENT = 'class="ocf" provider="pacemaker" type="Stateful"'


@dataclass(frozen=True, slots=True)
class Constrained:
    """Resources by id, written in the order in which they depend on each other."""

    resources: tuple[str, ...]
    """XML of each resource."""
    constraints: tuple[str, ...] = ()
    tickets: tuple[tuple[str, bool], ...] = ()
    """Tickets, and whether they are granted."""
    tags: tuple[str, ...] = ()

    def cib(self) -> str:
        """Return a CIB in which all nodes are online and nothing runs yet."""
        options = {
            "dc-version": "2.1.5",
            "cluster-infrastructure": "corosync",
            "stonith-enabled": "false",
            "no-quorum-policy": "ignore",
        }
        pairs = "".join(
            f'<nvpair id="o-{name}" name="{name}" value="{value}"/>'
            for name, value in options.items()
        )
        nodes = "".join(f'<node id="{i}" uname="{name}"/>' for i, name in enumerate(NODES, 1))
        states = "".join(
            f'<node_state id="{i}" uname="{name}" in_ccm="true" crmd="online" join="member"'
            f' expected="member"><lrm id="{i}"><lrm_resources/></lrm></node_state>'
            for i, name in enumerate(NODES, 1)
        )
        tickets = "".join(
            f'<ticket_state id="{name}" granted="{str(granted).lower()}"/>'
            for name, granted in self.tickets
        )
        return (
            '<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="1" num_updates="0"'
            ' admin_epoch="0" have-quorum="1" dc-uuid="1"><configuration><crm_config>'
            f'<cluster_property_set id="cib-bootstrap-options">{pairs}</cluster_property_set>'
            f"</crm_config><nodes>{nodes}</nodes><resources>{''.join(self.resources)}</resources>"
            f"<constraints>{''.join(self.constraints)}</constraints>"
            f"<tags>{''.join(self.tags)}</tags></configuration>"
            f"<status>{states}<tickets>{tickets}</tickets></status></cib>"
        )


def meta(owner: str, **pairs: str) -> str:
    """Return meta attributes; underscores in names become hyphens."""
    inside = "".join(
        f'<nvpair id="{owner}-{name}" name="{name.replace("_", "-")}" value="{value}"/>'
        for name, value in pairs.items()
    )
    return f'<meta_attributes id="{owner}-meta">{inside}</meta_attributes>' if inside else ""


def primitive(name: str, **pairs: str) -> str:
    """Return a primitive with meta attributes."""
    return f'<primitive id="{name}" {_AGENT}>{meta(name, **pairs)}</primitive>'


def group(name: str, members: Iterable[str], **pairs: str) -> str:
    """Return a group."""
    return f'<group id="{name}">{meta(name, **pairs)}{"".join(members)}</group>'


def clone(name: str, member: str, **pairs: str) -> str:
    """Return a clone."""
    return f'<clone id="{name}">{meta(name, **pairs)}{member}</clone>'


def resource_set(name: str, members: Iterable[str], **attributes: str) -> str:
    """Return a resource set; underscores in names become hyphens."""
    words = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in attributes.items())
    refs = "".join(f'<resource_ref id="{member}"/>' for member in members)
    return f'<resource_set id="{name}"{words}>{refs}</resource_set>'
