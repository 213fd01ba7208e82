"""What the agent of a resource tells: addresses, connections to nodes, fencing devices."""

from exporter.cluster.model import Resource

CONNECTION_AGENT = "ocf:pacemaker:remote"
"""The agent of connections to remote nodes and guest nodes."""
ADDRESS_AGENTS = (
    "ocf:fuel:ns_IPaddr2",
    "ocf:gcp:alias",
    "ocf:gcp:route",
    "ocf:heartbeat:IPaddr",
    "ocf:heartbeat:IPaddr2",
    "ocf:heartbeat:IPv6addr",
    "ocf:heartbeat:VIPArip",
    "ocf:heartbeat:aliyun-vpc-move-ip",
    "ocf:heartbeat:aws-vpc-move-ip",
    "ocf:heartbeat:aws-vpc-route53",
    "ocf:heartbeat:awseip",
    "ocf:heartbeat:awsvip",
    "ocf:heartbeat:azure-lb",
    "ocf:heartbeat:dnsupdate",
    "ocf:heartbeat:gcp-ilb",
    "ocf:heartbeat:gcp-vpc-move-ip",
    "ocf:heartbeat:gcp-vpc-move-route",
    "ocf:heartbeat:gcp-vpc-move-vip",
    "ocf:heartbeat:ns_IPaddr2",
    "ocf:heartbeat:openstack-floating-ip",
    "ocf:heartbeat:openstack-virtual-ip",
    "ocf:heartbeat:powervs-move-ip",
    "ocf:heartbeat:powervs-subnet",
    "ocf:mirantis:ns_IPaddr2",
    "ocf:suse:aws-vpc-move-ip",
)
"""Agents that hold an address under which clients reach a service, as crm_mon lists them, with
single colons. PacemakerVirtualIPDown has the same list.

Beside addresses of the node, these are routes, DNS records and the health probe of a load balancer
that lead clients to it. IPsrcaddr is not in the list: it sets the source of outgoing connections.
"""
_ADDRESSES = frozenset(ADDRESS_AGENTS)


def is_address(resource: Resource) -> bool:
    """Whether a resource is a virtual address."""
    return resource.agent in _ADDRESSES


def is_connection(resource: Resource) -> bool:
    """Whether a resource is the connection to a remote node or guest node."""
    return resource.agent == CONNECTION_AGENT


def is_fencing_device(resource: Resource) -> bool:
    """Whether a resource is a fencing device, for which some commands differ."""
    return resource.agent.startswith("stonith:")
