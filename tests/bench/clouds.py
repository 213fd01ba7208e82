"""A cloud of 300 compute nodes with instance HA, as a CIB in a file for the real crm_mon."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.support.model.cib import (
    Clone,
    Cluster,
    Constraint,
    Location,
    Primitive,
    RemoteNode,
    Resource,
    Run,
    controllers,
    galera,
    haproxy,
    rabbitmq,
    redis,
    virtual_ip,
)
from tests.support.model.states import NOW

COMPUTES = 300
RACK = 100
ADDRESSES = tuple(f"192.0.2.{number}" for number in range(10, 16))
_ROLES = ("galera", "rabbitmq", "redis", "haproxy")
_COMPUTE = "compute-instanceha"


def cloud(lost: range, computes: int = COMPUTES) -> Cluster:
    """Three controllers and many compute nodes, as TripleO sets them up.

    Each compute node is a remote node with a fencing device. Location rules on node attributes
    place everything, and a device never runs on the node that it fences.

    Args:
        lost: the numbers of the compute nodes whose connections are down.
        computes: how many compute nodes there are.

    """
    members = controllers()
    names = [node.name for node in members]
    remotes = tuple(
        RemoteNode(
            f"compute-{number}",
            names[number % 3],
            "offline" if number in lost else "online",
            {f"{_COMPUTE}-role": "true"},
        )
        for number in range(computes)
    )
    instances = tuple(Run(node.name) for node in remotes if node.state == "online")
    resources: tuple[Resource, ...] = (
        *(make(names) for make in (galera, rabbitmq, redis, haproxy)),
        *(virtual_ip(address, names[number % 3]) for number, address in enumerate(ADDRESSES)),
        Clone(
            "compute-unfence-trigger-clone", Primitive("compute-unfence-trigger", runs=instances)
        ),
        *(
            Primitive(f"fence-{name}", "stonith:fence_ipmilan", (Run(names[number % 3]),))
            for number, name in enumerate((*names, *(node.name for node in remotes)), 1)
        ),
    )
    attributes = {f"{role}-role": "true" for role in _ROLES}
    return Cluster(
        (*(replace(node, attributes=attributes) for node in members), *remotes),
        resources,
        tuple(_constraints(resources, remotes)),
        name="cloud",
        fencing=True,
        probes=False,
    )


def _constraints(
    resources: tuple[Resource, ...], remotes: tuple[RemoteNode, ...]
) -> Iterator[Constraint]:
    for resource in (*resources, *(node.connection for node in remotes)):
        fenced = resource.id.removeprefix("fence-")
        if fenced != resource.id:
            yield Location(resource.id, fenced)
        role = _COMPUTE if isinstance(resource, Clone) else resource.id.removesuffix("-bundle")
        if role not in {*_ROLES, _COMPUTE}:
            role = "haproxy"
        yield Location(resource.id, attribute=f"{role}-role")


class CloudCib:
    """The CIB of a cloud in a file that can be changed."""

    def __init__(self, directory: Path, lost: int) -> None:
        """Write it with the first compute nodes lost."""
        self.file = directory / f"cloud-{lost}.xml"
        self._texts = [cloud(range(count)).xml(NOW) for count in (lost, lost + 1)]
        self.file.write_text(self._texts[0], encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """What Pacemaker's commands need to read it."""
        return {**os.environ, "CIB_file": str(self.file), "LC_ALL": "C", "TZ": "UTC"}

    def change(self) -> None:
        """Let one more compute node be lost, or come back; at once for who reads."""
        self._texts.reverse()
        other = self.file.with_suffix(".new")
        other.write_text(self._texts[0], encoding="utf-8")
        other.replace(self.file)
