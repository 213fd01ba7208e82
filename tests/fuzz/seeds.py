"""Seeds of fuzzing: real captures, and small documents with what those lack."""

from collections.abc import Iterator

from exporter.cluster.model import (
    Ban,
    Bundle,
    Cluster,
    FailedAction,
    FencingEvent,
    Instance,
    Node,
    NodeAttribute,
    NodeType,
    Replica,
    Resource,
    ResourceHistory,
    Role,
    Snapshot,
    Ticket,
)
from tests.support.harness import see
from tests.support.model.writer import Flavour, write

_CAPTURED = (
    *(see.CAPTURES / "2.1.5").glob("*.xml"),
    *see.CAPTURES.glob("*/e02-promoted*.xml"),
    *see.CAPTURES.glob("*/e1[269]-*.xml"),
    *(see.CAPTURES / "live-2.1.5").glob("1[345]*.xml"),
    see.CAPTURES.parents[1] / "exporter" / "pacemaker" / "demo" / "bundles" / "cib.xml",
)

_CIB = b"""<cib><configuration>
  <crm_config><cluster_property_set id="cib-bootstrap-options">
    <nvpair id="i" name="cluster-name" value="c"/></cluster_property_set></crm_config>
  <resources>
    <bundle id="b"><podman image="i" promoted-max="1" replicas="2" run-command="a --password=x"/>
      <network control-port="1"><port-mapping id="p" port="1"/></network>
      <storage><storage-mapping id="s" target-dir="/a"/></storage>
      <primitive id="p" class="ocf" provider="heartbeat" type="redis">
        <instance_attributes id="a"><nvpair id="n" name="pass" value="y"/></instance_attributes>
        <operations><op id="o" name="monitor" interval="10s"/></operations></primitive></bundle>
    <bundle id="old"><docker image="i" masters="2" replicas-per-host="2"/></bundle></resources>
  <constraints>
    <rsc_location id="cli-prefer-a" rsc="a" node="n" score="INFINITY"/>
    <rsc_location id="cli-prefer-b" rsc="b" role="Promoted"><rule id="r" score="5">
      <expression id="e" attribute="#uname" operation="eq" value="n"/></rule></rsc_location>
  </constraints></configuration></cib>"""


def _everything() -> Snapshot:
    host = Node("n1", "1", NodeType.MEMBER, online=True, health="green")
    guest = Node("b-0", "b-0", NodeType.GUEST, online=True, resource="b-podman-0")

    def resource(name: str, agent: str, role: Role, *nodes: Node) -> Resource:
        return Resource(name, f"ocf:{agent}", role, active=bool(nodes), nodes=nodes)

    replica = Replica(
        "0",
        resource("b-podman-0", "heartbeat:podman", Role.STARTED, host),
        resource("b-ip-10.0.0.1", "heartbeat:IPaddr2", Role.STARTED, host),
        resource("b-0", "pacemaker:remote", Role.STARTED, host),
        resource("p", "heartbeat:redis", Role.PROMOTED, guest),
        guest,
    )
    bundle = Bundle("b", "podman", "i", unique=False, managed=True, failed=False,
                    maintenance=False, replicas=(replica,))  # fmt: skip
    member, vip = (resource(name, "heartbeat:x", Role.STARTED, host) for name in ("m", "vip"))
    return Snapshot(
        Cluster("2.1.5", "2.25", "corosync", dc_elected=True, dc_name="n1", quorate=True,
                last_change="Sun Sep 13 12:26:40 2020", nodes_configured=2,
                resources_configured=4, fencing_enabled=True),
        nodes=(host, guest),
        bundles=(bundle,),
        instances=(
            Instance(vip),
            Instance(member, clone="c"),
            Instance(member, group="g"),
            *[Instance(member, group="g", clone="gc")] * 2,
        ),
        history=(ResourceHistory("p", "b-0", 1_000_000, 3, 1.6e9), ResourceHistory("m", "n1", 0)),
        failed_actions=(FailedAction("p", "b-0", "monitor", "complete", "7", "a<b", 1.6e9),),
        fencing=(FencingEvent("n1", "reboot", "success", 1.6e9, "n1", "x"),),
        bans=(Ban("cli-ban-b", "b", "n1", -1_000_000), Ban("l", "m", "n1", -5, promoted_only=True)),
        tickets=(Ticket("t", granted=True, standby=False),),
        attributes=(NodeAttribute("n1", "pingd", "10", 10),),
        resources_running={"n1": 3},
    )  # fmt: skip


def seeds() -> Iterator[bytes]:
    """Outputs of crm_mon and of cibadmin."""
    for path in _CAPTURED:
        yield path.read_bytes()
    for flavour in Flavour:
        yield write(_everything(), flavour)
    yield _CIB
