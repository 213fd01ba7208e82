"""What the reader of crm_mon's XML requires, tolerates, and refuses."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter import crm_mon
from exporter.command import Completed
from exporter.errors import Outcome, PollError
from exporter.model import Bundle, Cluster, NodeType, Replica, Role, Snapshot
from exporter.xml import MalformedError, Memory, free_in_pieces, parse_document
from tests.support import see

NODES = """
  <nodes>
    <node name="c0" id="1" online="true" type="member"/>
    <node name="c1" id="2" online="true" unclean="true" type="member"/>
    <node name="web-0" id="web-0" online="true" type="remote" id_as_resource="web-podman-0"/>
  </nodes>"""
CONTAINER = '<resource id="web-podman-0" resource_agent="ocf::heartbeat:podman" {}>{}</resource>'
CONNECTION = '<resource id="web-0" resource_agent="ocf::pacemaker:remote" {}>{}</resource>'
STARTED = 'role="Started" active="true"'
ON_C0 = '<node name="c0" id="1" cached="true"/>'


def document(body: str) -> bytes:
    return f'<crm_mon version="2.0.0"><summary/>{body}</crm_mon>'.encode()


def bundle(*resources: str) -> bytes:
    replica = f'<replica id="0">{"".join(resources)}</replica>'
    body = f'<bundle id="web" type="podman" image="i">{replica}</bundle>'
    return document(f"{NODES}<resources>{body}</resources>")


def only_replica(data: bytes) -> Replica:
    (only,) = crm_mon.parse(data).bundles
    (replica,) = only.replicas
    return replica


def primitive(identity: str, agent: str) -> str:
    attributes = f'id="{identity}" resource_agent="{agent}" {STARTED}'
    return f'<resource {attributes}><node name="web-0"/></resource>'


class TestComponents:
    @pytest.mark.parametrize(
        ("identity", "agent"),
        [
            ("vip", "ocf:heartbeat:IPaddr2"),
            ("inner", "ocf:heartbeat:podman"),
            ("web-podman-x", "ocf:heartbeat:podman"),
            ("web-ip-service", "ocf:heartbeat:IPaddr2"),
            ("httpd:0", "ocf:heartbeat:apache"),
        ],
    )
    def test_the_primitive_is_never_taken_for_an_implicit_resource(
        self, identity: str, agent: str
    ) -> None:
        implicit = [CONTAINER.format(STARTED, ON_C0), CONNECTION.format(STARTED, ON_C0)]
        address = primitive("web-ip-192.0.2.1", "ocf:heartbeat:IPaddr2")
        own = primitive(identity, agent)
        for resources in ([own, *implicit], [address, own, *implicit], [*implicit, own, address]):
            replica = only_replica(bundle(*resources))
            assert replica.primitive is not None
            assert replica.primitive.id == identity
            assert replica.container.id == "web-podman-0"
            assert replica.connection is not None
            assert (replica.ip is not None) == (address in resources)

    def test_agents_decide_where_no_id_does(self) -> None:
        resources = (
            primitive("a", "ocf:heartbeat:IPaddr2"),
            primitive("b", "ocf:heartbeat:podman"),
            primitive("c", "ocf:heartbeat:podman"),
            primitive("d", "ocf:pacemaker:remote"),
        )
        found = {kind: r.id for kind, r in only_replica(bundle(*resources)).components}
        # crm_mon prints address, primitive, container, connection.
        assert found == {"ip": "a", "service": "b", "container": "c", "connection": "d"}

    def test_an_address_without_connection_is_no_primitive(self) -> None:
        address = primitive("other", "ocf:heartbeat:IPaddr2")
        replica = only_replica(bundle(address, CONTAINER.format(STARTED, ON_C0)))
        assert replica.primitive is None
        assert replica.ip is not None
        assert replica.service is replica.container

    def test_an_ipv6_address_has_its_colons_made_dots(self) -> None:
        replica = only_replica(
            bundle(
                primitive("web-ip-fd00.ab..1", "ocf:heartbeat:IPaddr2"),
                primitive("vip", "ocf:heartbeat:IPaddr2"),
                CONTAINER.format(STARTED, ON_C0),
                CONNECTION.format(STARTED, ON_C0),
            )
        )
        assert replica.ip is not None
        assert replica.ip.id == "web-ip-fd00.ab..1"

    def test_a_replica_without_container_is_refused(self) -> None:
        with pytest.raises(MalformedError, match="replica '0'> of bundle 'web' has no container"):
            only_replica(bundle(primitive("x", "ocf:heartbeat:apache")))


class TestReadiness:
    def ready(self, container: str = ON_C0, connection: str = ON_C0, flags: str = "") -> bool:
        return only_replica(
            bundle(
                primitive("httpd", "ocf:heartbeat:apache"),
                CONTAINER.format(f"{STARTED} {flags}", container),
                CONNECTION.format(STARTED, connection),
            )
        ).ready

    def test_all_well(self) -> None:
        assert self.ready()
        assert self.ready(connection='<node name="c1"/>'), "hosted by another node is normal"

    @pytest.mark.parametrize(
        "flags", ['failed="true"', 'blocked="true"', 'orphaned="true"', 'removed="true"']
    )
    def test_a_component_that_is_not_sound(self, flags: str) -> None:
        assert not self.ready(flags=flags)

    def test_an_ignored_failure(self) -> None:
        assert self.ready(flags='failed="true" failure_ignored="true"')

    def test_its_host(self) -> None:
        assert not self.ready(container=""), "nowhere"
        assert not self.ready(container='<node name="c0"/><node name="c1"/>'), "on two"
        assert not self.ready(container='<node name="c1"/>'), "unclean"
        assert not self.ready(container='<node name="nobody"/>'), "not listed"
        assert self.ready(container=ON_C0 + ON_C0), "listed twice is still one"

    def test_its_guest_node(self) -> None:
        replica = only_replica(
            bundle(
                primitive("httpd", "ocf:heartbeat:apache"),
                CONTAINER.format(STARTED, ON_C0),
                CONNECTION.format(STARTED, ON_C0),
            )
        )
        assert replica.guest is not None
        assert not replace(replica, guest=None).ready
        assert not replace(replica, guest=replace(replica.guest, online=False)).ready


def test_a_bundle_is_disabled_when_all_of_its_replicas_are() -> None:
    def enabled(*target_roles: str) -> bool:
        replicas = "".join(
            f'<replica id="{index}"><resource id="web-podman-{index}" target_role="{role}"'
            ' resource_agent="ocf:heartbeat:podman" role="Stopped" active="false"/></replica>'
            for index, role in enumerate(target_roles)
        )
        body = f'<resources><bundle id="web" type="podman">{replicas}</bundle></resources>'
        (only,) = crm_mon.parse(document(body)).bundles
        return only.enabled

    assert not enabled("Stopped", "stopped")
    assert enabled("Stopped", "Started")
    assert enabled("", "")


class TestRequired:
    @pytest.mark.parametrize(
        ("missing", "where"),
        [
            ('id="web-podman-0"', "<resource>"),
            ('resource_agent="ocf::heartbeat:podman"', "<resource 'web-podman-0'>"),
            ('role="Started"', "<resource 'web-podman-0'>"),
            ('active="true"', "<resource 'web-podman-0'>"),
            ('name="c0"', "<node '1'>"),
        ],
    )
    def test_missing_is_told_with_element_and_line(self, missing: str, where: str) -> None:
        whole = bundle(CONTAINER.format(STARTED, ON_C0)).decode()
        container = whole.index("<resource ")
        broken = whole[:container] + "\n" + whole[container:].replace(missing, "", 1)
        name = missing.partition("=")[0]
        with pytest.raises(MalformedError) as caught:
            crm_mon.parse(broken.encode())
        line = broken.count("\n") + 1
        assert f"line {line}: {where} has no attribute {name}" in str(caught.value)

    def test_no_boolean(self) -> None:
        data = bundle(CONTAINER.format('role="Started" active="maybe"', ON_C0))
        with pytest.raises(MalformedError, match="active='maybe', not a boolean"):
            crm_mon.parse(data)

    @pytest.mark.parametrize("element", ["bundle", "replica"])
    def test_repeated_ids(self, element: str) -> None:
        data = bundle(CONTAINER.format(STARTED, ON_C0)).decode()
        start, end = data.index(f"<{element} "), data.index(f"</{element}>") + len(element) + 3
        twice = data[:end] + data[start:end] + data[end:]
        with pytest.raises(MalformedError, match=f"{element} .*2 times"):
            crm_mon.parse(twice.encode())


class TestTolerated:
    def test_optional_attributes_missing_empty_or_new(self) -> None:
        plain = only_replica(bundle(CONTAINER.format(STARTED, ON_C0)))
        odd = 'failed="" blocked="perhaps" managed="?" maintenance="" nodes_running_on="x" new="1"'
        assert only_replica(bundle(CONTAINER.format(f"{STARTED} {odd}", ON_C0))) == plain

    def test_unknown_elements(self) -> None:
        known = bundle(CONTAINER.format(STARTED, ON_C0))
        odd = known.replace(b"<replica ", b"<news/><!-- c --><replica ").replace(
            b"</crm_mon>", b"<more><bundle/></more></crm_mon>"
        )
        assert crm_mon.parse(odd).bundles == crm_mon.parse(known).bundles

    def test_an_unknown_role_engine_and_node_type(self) -> None:
        data = bundle(CONTAINER.format('role="Levitating" active="true"', ON_C0))
        data = data.replace(b'type="podman"', b'type="lxc"').replace(b'"member"', b'"moon"')
        (only,) = crm_mon.parse(data).bundles
        assert only.engine == "unknown"
        assert only.replicas[0].role is Role.UNKNOWN
        assert not only.replicas[0].running
        assert only.replicas[0].hosts[0].type == "unknown"

    def test_bundles_at_any_depth(self) -> None:
        data = bundle(CONTAINER.format(STARTED, ON_C0))
        nested = data.replace(b"<bundle ", b'<group id="g"><bundle ').replace(
            b"</bundle>", b"</bundle></group>"
        )
        assert crm_mon.parse(nested).bundles == crm_mon.parse(data).bundles

    def test_of_two_nodes_of_one_name_the_one_that_is_online_counts(self) -> None:
        stale = '<node name="c0" id="9" online="false" type="member" resources_running="7"/>'
        for order in (
            NODES.replace("<nodes>", f"<nodes>{stale}"),
            NODES.replace("</", stale + "</"),
        ):
            snapshot = crm_mon.parse(document(order))
            (node,) = (node for node in snapshot.nodes if node.name == "c0")
            assert (node.id, node.online) == ("1", True)
            assert "c0" not in snapshot.resources_running

    def test_booleans_in_all_spellings_of_pacemaker(self) -> None:
        for text in ("true", "TRUE", "on", "yes", "y", "1"):
            data = bundle(CONTAINER.format(f'role="Started" active="{text}"', ON_C0))
            assert only_replica(data).container.active, text

    def test_numbers_that_are_none(self) -> None:
        summary = '<nodes_configured number="many"/><resources_configured number=""/>'
        data = f"<crm_mon><summary>{summary}</summary></crm_mon>".encode()
        cluster = crm_mon.parse(data).cluster
        assert (cluster.nodes_configured, cluster.resources_configured) == (None, None)

    def test_the_old_and_the_new_name_of_fencing(self) -> None:
        def enabled(attributes: str) -> bool | None:
            options = f"<summary><cluster_options {attributes}/></summary>"
            return crm_mon.parse(f"<crm_mon>{options}</crm_mon>".encode()).cluster.fencing_enabled

        assert enabled('stonith-enabled="true"') is True
        assert enabled('fencing-enabled="false" stonith-enabled="true"') is False
        assert enabled("") is None


class TestRefused:
    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "no XML but ''"),
            (b"  \n", "no XML but ''"),
            (b"Error: cluster is not available on this node\n", "no XML but 'Error: cluster"),
            (b"\x00\xff", "no XML"),
            (b"<crm_mon><summary></crm_mon>", "line 1"),
            (b"<crm_mon><summary/>", "line 1"),
            (b"<html/>", "<html>"),
            (b'<crm_mon a="\xff"><summary/></crm_mon>', "ill-formed"),
        ],
    )
    def test_what_is_no_answer(self, data: bytes, words: str) -> None:
        with pytest.raises(MalformedError) as caught:
            crm_mon.parse(data)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_entities(self) -> None:
        bomb = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
        doctype = f'<!DOCTYPE crm_mon [<!ENTITY e0 "x">{bomb}]>'
        data = f"{doctype}<crm_mon><summary>&e12;</summary></crm_mon>"
        with pytest.raises(MalformedError):
            crm_mon.parse(data.encode())

    def test_what_reaches_outside(self) -> None:
        data = b'<!DOCTYPE crm_mon SYSTEM "file:///etc/passwd"><crm_mon><summary/></crm_mon>'
        with pytest.raises(MalformedError, match="document type definition"):
            crm_mon.parse(data)

    def test_trees_too_deep(self) -> None:
        deep = b"<a>" * 100_000 + b"</a>" * 100_000
        with pytest.raises(MalformedError):
            crm_mon.parse(document(deep.decode()))

    def test_incomplete(self) -> None:
        for data in (
            b"<pacemaker-result><status code='0'/></pacemaker-result>",
            b"<crm_mon><a/></crm_mon>",
        ):
            with pytest.raises(PollError) as caught:
                crm_mon.parse(data)
            assert caught.value.outcome is Outcome.INCOMPLETE


def test_the_snapshot_of_an_empty_summary() -> None:
    assert crm_mon.parse(b"<crm_mon><summary/></crm_mon>") == Snapshot(Cluster())


class TestWords:
    """What operators read in the log is said in full, and of what."""

    @pytest.mark.parametrize(
        ("completed", "outcome", "words"),
        [
            (
                Completed(("crm_mon",), 102, b"", "a\nNot connected\n"),
                Outcome.NOT_CONNECTED,
                (
                    "crm_mon cannot reach the cluster (exit status 102): Not connected;"
                    " is Pacemaker running here?"
                ),
            ),
            (
                Completed(("crm_mon",), 4, b"<a><error>Denied</error></a>", ""),
                Outcome.PERMISSION_DENIED,
                (
                    "crm_mon may not ask the cluster (exit status 4): Denied;"
                    " put the exporter's user into group haclient"
                ),
            ),
            (
                Completed(("crm_mon",), -11, b"", ""),
                Outcome.EXIT_STATUS,
                "crm_mon failed (killed by SIGSEGV): no reason given",
            ),
            (
                Completed(("crm_mon",), 0, b'<crm_mon version="2.1.5"/>', ""),
                Outcome.NOT_CONNECTED,
                "crm_mon cannot reach the cluster (no content); is Pacemaker running here?",
            ),
            (
                Completed(("crm_mon",), 0, b"<crm-mon-disconnected/>", ""),
                Outcome.NOT_CONNECTED,
                (
                    "crm_mon cannot reach the cluster (crm-mon-disconnected);"
                    " is Pacemaker running here?"
                ),
            ),
        ],
    )
    def test_of_a_failure(self, completed: Completed, outcome: Outcome, words: str) -> None:
        with pytest.raises(PollError) as caught:
            crm_mon.read(completed)
        assert (caught.value.outcome, str(caught.value)) == (outcome, words)

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (
                b"a" * 101 + b"\nb",
                f"crm_mon printed no XML but {'a' * 100!r}",
            ),
            (b"first\nsecond", "crm_mon printed no XML but 'first'"),
            (
                b"<!DOCTYPE crm_mon><crm_mon/>",
                "crm_mon printed a document type definition, which is refused",
            ),
            (
                document('<nodes><node name="n" online="maybe"/></nodes>'),
                "line 1: <node 'n'> has online='maybe', not a boolean",
            ),
            (
                document("<nodes><node online='yes'/></nodes>"),
                "line 1: <node> has no attribute name",
            ),
            (
                document("<resources><bundle id='b'><replica id='0'/></bundle></resources>"),
                "line 1: <replica '0'> of bundle 'b' has no container",
            ),
        ],
    )
    def test_of_what_is_malformed(self, data: bytes, words: str) -> None:
        with pytest.raises(MalformedError) as caught:
            crm_mon.parse(data)
        assert str(caught.value) == words

    def test_of_what_is_ill_formed(self) -> None:
        with pytest.raises(
            MalformedError, match=r"crm_mon printed ill-formed XML: Opening and ending tag"
        ):
            crm_mon.parse(b"<crm_mon><summary></crm_mon>")

    def test_of_what_is_repeated(self) -> None:
        replica = f'<replica id="0">{CONTAINER.format(STARTED, ON_C0)}</replica>'
        twice = f'<bundle id="web" type="podman">{replica * 2}</bundle>'
        with pytest.raises(MalformedError) as caught:
            crm_mon.parse(document(f"<resources>{twice}</resources>"))
        assert str(caught.value) == "crm_mon printed replica '0' of bundle 'web' 2 times"


class Slow:
    """A crm_mon that takes its time to refuse every request."""

    def __init__(self, clock: FrozenDateTimeFactory) -> None:
        self.clock = clock
        self.allowed: list[float] = []

    def run(self, argv: Sequence[str], timeout: float) -> Completed:
        self.allowed.append(timeout)
        self.clock.tick(3)
        return Completed(tuple(argv), 64, b"", "usage:\ncrm_mon: Unknown option --x\n")


def test_all_requests_share_one_time(clock: FrozenDateTimeFactory) -> None:
    slow = Slow(clock)
    with pytest.raises(PollError) as caught:
        crm_mon.CrmMon(slow, "/x/crm_mon").ask(5)
    assert slow.allowed == pytest.approx([5, 2, 0])
    assert str(caught.value) == (
        "crm_mon takes neither --output-as=xml nor --as-xml (exit status 64):"
        " crm_mon: Unknown option --x; is /x/crm_mon a crm_mon?"
    )


def test_values_too_long_are_refused() -> None:
    with pytest.raises(MalformedError, match="ill-formed"):
        crm_mon.parse(document(f'<bans><ban id="{"x" * 11_000_000}"/></bans>'))


def test_a_ban_by_each_name_of_promoted_and_without_a_node() -> None:
    bans = (
        '<ban id="1" node="n" promoted-only="true"/>',
        '<ban id="2" master_only="true"/>',
        '<ban id="3"/>',
    )
    seen = crm_mon.parse(document(f"<bans>{''.join(bans)}</bans>")).bans
    assert [(ban.node, ban.promoted_only) for ban in seen] == [("n", True), ("", True), ("", False)]


def test_a_failed_action_is_named_by_its_key_or_its_id() -> None:
    failures = '<failure op_key="a_monitor_1"/><failure id="b_start_0"/><failure/>'
    seen = crm_mon.parse(document(f"<failures>{failures}</failures>")).failed_actions
    assert [(action.resource, action.operation) for action in seen] == [
        ("a", "monitor"),
        ("b", "start"),
        ("", ""),
    ]


def test_a_bundle_in_maintenance() -> None:
    bundles = '<bundle id="a" maintenance="true"/><bundle id="b"/>'
    seen = crm_mon.parse(document(f"<resources>{bundles}</resources>")).bundles
    assert [bundle.maintenance for bundle in seen] == [True, False]


def test_a_resource_in_maintenance() -> None:
    flagged = CONTAINER.format(f'{STARTED} maintenance="true"', ON_C0)
    assert only_replica(bundle(flagged)).container.maintenance
    assert not only_replica(bundle(CONTAINER.format(STARTED, ON_C0))).container.maintenance


@pytest.mark.parametrize(
    ("text", "flag"),
    [(text, True) for text in ("true", "on", "yes", "y", "1", "TRUE")]
    + [(text, False) for text in ("false", "off", "no", "n", "0", "No")],
)
def test_every_spelling_of_a_boolean(text: str, flag: bool) -> None:
    (node,) = crm_mon.parse(document(f'<nodes><node name="n" online="{text}"/></nodes>')).nodes
    assert node.online is flag


@pytest.mark.parametrize(
    ("text", "score"),
    [("INFINITY", 10**6), ("+INFINITY", 10**6), ("-INFINITY", -(10**6)), ("-7", -7), ("x", 0)],
)
def test_every_spelling_of_a_score(text: str, score: int) -> None:
    (ban,) = crm_mon.parse(document(f'<bans><ban id="b" weight="{text}"/></bans>')).bans
    assert ban.score == score


def test_of_a_node_that_is_only_named_nothing_is_said() -> None:
    elsewhere = CONTAINER.format(STARTED, '<node name="lost" id="9"/>')
    (node,) = only_replica(bundle(elsewhere)).hosts
    assert (node.name, node.id, node.type) == ("lost", "", NodeType.UNKNOWN)
    flags = ("online", "standby", "standby_onfail", "maintenance", "pending", "unclean",
             "shutdown", "expected_up", "dc")  # fmt: skip
    assert not any(getattr(node, name) for name in flags)
    assert (node.health, node.feature_set) == (None, "")


HEALTHY = see.captured("live-2.1.5/01-healthy.xml")


def test_a_document_that_was_read_is_emptied_below_its_sections() -> None:
    root = parse_document(HEALTHY, "crm_mon")
    assert root.findall("*/*/*")
    free_in_pieces(root)
    assert not any(len(element) or element.attrib for element in root.iterfind("*/*"))


class TestMemory:
    @pytest.fixture
    def memory(self) -> Memory:
        return Memory()

    @pytest.fixture
    def before(self, memory: Memory) -> tuple[Bundle, ...]:
        return crm_mon.parse(HEALTHY, memory=memory).bundles

    def same(self, data: bytes, memory: Memory, before: tuple[Bundle, ...]) -> list[bool]:
        """Which bundles of the next document are the objects of the one before."""
        after = crm_mon.parse(data, memory=memory).bundles
        return [now is then for now, then in zip(after, before, strict=True)]

    def test_a_bundle_that_is_written_as_before_is_the_same(
        self, memory: Memory, before: tuple[Bundle, ...]
    ) -> None:
        upgraded = HEALTHY.replace(b"redis:pcmklatest", b"redis:new")
        assert self.same(upgraded, memory, before) == [True, True, False, True]
        assert crm_mon.parse(upgraded, memory=memory).bundles[2].image.endswith("redis:new")

    def test_it_is_read_again_when_what_is_said_of_nodes_changed(
        self, memory: Memory, before: tuple[Bundle, ...]
    ) -> None:
        assert all(replica.ready for bundle in before for replica in bundle.replicas)
        online = b'name="controller-2" id="3" online="'
        lost = HEALTHY.replace(online + b"true", online + b"false")
        for bundle in crm_mon.parse(lost, memory=memory).bundles:
            assert [r.ready for r in bundle.replicas].count(False) == 1

    def test_it_is_the_same_when_that_makes_no_difference_to_it(
        self, memory: Memory, before: tuple[Bundle, ...]
    ) -> None:
        joined = HEALTHY.replace(b"<nodes>", b'<nodes><node name="new" online="true"/>')
        assert all(self.same(joined, memory, before))
        busier = HEALTHY.replace(b'resources_running="', b'resources_running="1')
        assert all(self.same(busier, memory, before))

    def test_only_what_is_about_a_node_is_read_again_when_it_changed(
        self, memory: Memory, before: tuple[Bundle, ...]
    ) -> None:
        guest = b'name="rabbitmq-bundle-0" id="rabbitmq-bundle-0" online="'
        lost = HEALTHY.replace(guest + b"true", guest + b"false")
        assert self.same(lost, memory, before) == [True, False, True, True]

    def test_a_document_that_is_refused_changes_nothing(
        self, memory: Memory, before: tuple[Bundle, ...]
    ) -> None:
        with pytest.raises(MalformedError):
            crm_mon.parse(HEALTHY.replace(b'<replica id="2">', b"<replica>"), memory=memory)
        assert all(self.same(HEALTHY, memory, before))

    def test_it_is_forgotten_when_a_document_does_not_have_it(
        self, memory: Memory, before: tuple[Bundle, ...]
    ) -> None:
        crm_mon.parse(document(NODES), memory=memory)
        assert not any(self.same(HEALTHY, memory, before))
        assert crm_mon.parse(HEALTHY, memory=memory).bundles == before
