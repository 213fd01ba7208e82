"""The reader of crm_mon's XML: required, tolerated and refused input."""

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from freezegun.api import FrozenDateTimeFactory

from exporter.cluster.model import Bundle, Cluster, FencingEvent, NodeType, Replica, Role, Snapshot
from exporter.cluster.outcome import Failure, Outcome
from exporter.pacemaker import crm_mon
from exporter.pacemaker.runner import Completed
from exporter.pacemaker.xml import (
    MalformedError,
    ParseCache,
    UnreadableError,
    free_in_pieces,
    parse_document,
)
from tests.support.harness import see
from tests.support.harness.fakes import FrozenClock
from tests.support.harness.results import failed

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
    def test_primitive_is_never_mistaken_for_an_implicit_resource(
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

    def test_agent_decides_where_the_id_does_not(self) -> None:
        resources = (
            primitive("a", "ocf:heartbeat:IPaddr2"),
            primitive("b", "ocf:heartbeat:podman"),
            primitive("c", "ocf:heartbeat:podman"),
            primitive("d", "ocf:pacemaker:remote"),
        )
        found = {kind: r.id for kind, r in only_replica(bundle(*resources)).components}
        # crm_mon prints address, primitive, container, connection.
        assert found == {"ip": "a", "service": "b", "container": "c", "connection": "d"}

    def test_address_without_a_connection_is_not_a_primitive(self) -> None:
        address = primitive("other", "ocf:heartbeat:IPaddr2")
        replica = only_replica(bundle(address, CONTAINER.format(STARTED, ON_C0)))
        assert replica.primitive is None
        assert replica.ip is not None
        assert replica.service is replica.container

    def test_ipv6_address_with_dots_is_recognized(self) -> None:
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

    def test_replica_without_a_container_is_refused(self) -> None:
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

    def test_healthy_replica_is_ready(self) -> None:
        assert self.ready()
        assert self.ready(connection='<node name="c1"/>'), "hosted by another node is normal"

    @pytest.mark.parametrize(
        "flags", ['failed="true"', 'blocked="true"', 'orphaned="true"', 'removed="true"']
    )
    def test_replica_with_an_unhealthy_component_is_not_ready(self, flags: str) -> None:
        assert not self.ready(flags=flags)

    def test_replica_with_an_ignored_failure_is_ready(self) -> None:
        assert self.ready(flags='failed="true" failure_ignored="true"')

    def test_replica_without_exactly_one_clean_host_is_not_ready(self) -> None:
        assert not self.ready(container=""), "nowhere"
        assert not self.ready(container='<node name="c0"/><node name="c1"/>'), "on two"
        assert not self.ready(container='<node name="c1"/>'), "unclean"
        assert not self.ready(container='<node name="nobody"/>'), "not listed"
        assert self.ready(container=ON_C0 + ON_C0), "listed twice is still one"

    def test_replica_with_an_offline_guest_node_is_not_ready(self) -> None:
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


def test_bundle_is_disabled_when_all_of_its_replicas_are() -> None:
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


class TestRequiredAttributes:
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
    def test_error_names_element_and_line_of_a_missing_attribute(
        self, missing: str, where: str
    ) -> None:
        whole = bundle(CONTAINER.format(STARTED, ON_C0)).decode()
        container = whole.index("<resource ")
        broken = whole[:container] + "\n" + whole[container:].replace(missing, "", 1)
        name = missing.partition("=")[0]
        with pytest.raises(MalformedError) as caught:
            crm_mon.parse(broken.encode())
        line = broken.count("\n") + 1
        assert f"line {line}: {where} has no attribute {name}" in str(caught.value)

    def test_value_that_is_not_a_boolean_is_refused(self) -> None:
        data = bundle(CONTAINER.format('role="Started" active="maybe"', ON_C0))
        with pytest.raises(MalformedError, match="active='maybe', not a boolean"):
            crm_mon.parse(data)

    @pytest.mark.parametrize("element", ["bundle", "replica"])
    def test_repeated_ids_are_refused(self, element: str) -> None:
        data = bundle(CONTAINER.format(STARTED, ON_C0)).decode()
        start, end = data.index(f"<{element} "), data.index(f"</{element}>") + len(element) + 3
        twice = data[:end] + data[start:end] + data[end:]
        with pytest.raises(MalformedError, match=f"{element} .*2 times"):
            crm_mon.parse(twice.encode())


class TestToleratedInput:
    def test_missing_empty_and_new_optional_attributes_are_ignored(self) -> None:
        plain = only_replica(bundle(CONTAINER.format(STARTED, ON_C0)))
        odd = 'failed="" blocked="perhaps" managed="?" maintenance="" nodes_running_on="x" new="1"'
        assert only_replica(bundle(CONTAINER.format(f"{STARTED} {odd}", ON_C0))) == plain

    def test_unknown_elements_are_ignored(self) -> None:
        known = bundle(CONTAINER.format(STARTED, ON_C0))
        odd = known.replace(b"<replica ", b"<news/><!-- c --><replica ").replace(
            b"</crm_mon>", b"<more><bundle/></more></crm_mon>"
        )
        assert crm_mon.parse(odd).bundles == crm_mon.parse(known).bundles

    def test_unknown_role_engine_and_node_type_become_unknown(self) -> None:
        data = bundle(CONTAINER.format('role="Levitating" active="true"', ON_C0))
        data = data.replace(b'type="podman"', b'type="lxc"').replace(b'"member"', b'"moon"')
        (only,) = crm_mon.parse(data).bundles
        assert only.engine == "unknown"
        assert only.replicas[0].role is Role.UNKNOWN
        assert not only.replicas[0].running
        assert only.replicas[0].hosts[0].type == "unknown"

    def test_bundles_are_found_at_any_depth(self) -> None:
        data = bundle(CONTAINER.format(STARTED, ON_C0))
        nested = data.replace(b"<bundle ", b'<group id="g"><bundle ').replace(
            b"</bundle>", b"</bundle></group>"
        )
        assert crm_mon.parse(nested).bundles == crm_mon.parse(data).bundles

    def test_online_node_wins_over_an_offline_one_of_the_same_name(self) -> None:
        stale = '<node name="c0" id="9" online="false" type="member" resources_running="7"/>'
        for order in (
            NODES.replace("<nodes>", f"<nodes>{stale}"),
            NODES.replace("</", stale + "</"),
        ):
            snapshot = crm_mon.parse(document(order))
            (node,) = (node for node in snapshot.nodes if node.name == "c0")
            assert (node.id, node.online) == ("1", True)
            assert "c0" not in snapshot.resources_running

    def test_booleans_are_read_in_every_spelling_of_pacemaker(self) -> None:
        for text in ("true", "TRUE", "on", "yes", "y", "1"):
            data = bundle(CONTAINER.format(f'role="Started" active="{text}"', ON_C0))
            assert only_replica(data).container.active, text

    def test_unreadable_counts_are_unknown(self) -> None:
        summary = '<nodes_configured number="many"/><resources_configured number=""/>'
        data = f"<crm_mon><summary>{summary}</summary></crm_mon>".encode()
        cluster = crm_mon.parse(data).cluster
        assert (cluster.nodes_configured, cluster.resources_configured) == (None, None)

    def test_fencing_option_is_read_by_its_old_and_new_name(self) -> None:
        def enabled(attributes: str) -> bool | None:
            options = f"<summary><cluster_options {attributes}/></summary>"
            return crm_mon.parse(f"<crm_mon>{options}</crm_mon>".encode()).cluster.fencing_enabled

        assert enabled('stonith-enabled="true"') is True
        assert enabled('fencing-enabled="false" stonith-enabled="true"') is False
        assert enabled("") is None


TWICE = (
    '<fence_event target="a" action="reboot" state="pending" origin="b" client="crmd.9"'
    ' state="pending" />'
)


class TestRepeatedPendingState:
    """crm_mon 1.1 writes state="pending" twice while fencing is pending."""

    def answer(self, *events: str) -> bytes:
        history = "\n".join(events)
        return (
            f"<crm_mon>\n<summary/>\n<fence_history>\n{history}\n</fence_history>\n</crm_mon>"
        ).encode()

    def refused(self, *events: str) -> str:
        with pytest.raises(MalformedError) as caught:
            crm_mon.parse(self.answer(*events))
        return str(caught.value)

    @pytest.mark.parametrize(
        "event",
        [
            TWICE,
            TWICE.replace(' state="pending" />', '\n  state="pending"/>'),
            TWICE.replace(' state="pending" />', ' state="pending" delegate="c" ></fence_event>'),
            '<fence_event state="pending" state="pending" target="a" action="reboot" origin="b"/>',
        ],
    )
    def test_event_with_a_repeated_state_is_read_as_pending(self, event: str) -> None:
        found = crm_mon.parse(self.answer(event, event)).fencing
        assert found == (FencingEvent("a", "reboot", "pending", origin="b"),) * 2

    @pytest.mark.parametrize(
        "event",
        [
            TWICE.replace('state="pending" origin', 'state="failed" origin'),
            TWICE.replace('state="pending" />', 'state="failed" />'),
            TWICE.replace('state="pending"', 'state="failed"'),
            TWICE.replace('state="pending" />', 'state="pending" state="pending" />'),
            TWICE.replace('state="pending" />', 'origin="b" />'),
            TWICE.replace('state="pending" />', 'origin="b" state="pending" />'),
            TWICE.replace('state="pending"', 'status="pending"'),
            TWICE.replace("fence_event", "fencing"),
        ],
    )
    def test_another_repeated_attribute_is_refused_with_its_line(self, event: str) -> None:
        assert "redefined, line 5, " in self.refused(TWICE, event)

    def test_another_fault_in_the_same_document_is_refused_with_its_line(self) -> None:
        assert ", line 6, " in self.refused(TWICE, TWICE, '<fence_event target="a&b"/>')
        split = TWICE.replace(" state", "\n state", 1)
        assert ", line 6, " in self.refused(split, '<fence_event target="a<b"/>')

    def test_recognizing_another_fault_takes_little_time(self) -> None:
        long = '<fence_event x="1" ' + 'y="state" ' * 100_000
        started = time.process_time()
        self.refused(long + "/>", TWICE)
        assert time.process_time() - started < 5


class TestRefusedInput:
    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "did not print XML: ''"),
            (b"  \n", "did not print XML: ''"),
            (
                b"Error: cluster is not available on this node\n",
                "did not print XML: 'Error: cluster",
            ),
            (b"\x00\xff", "did not print XML"),
            (b"<crm_mon><summary></crm_mon>", "line 1"),
            (b"<crm_mon><summary/>", "line 1"),
            (b"<html/>", "<html>"),
            (b'<crm_mon a="\xff"><summary/></crm_mon>', "ill-formed"),
        ],
    )
    def test_output_that_is_not_an_answer_is_refused(self, data: bytes, words: str) -> None:
        with pytest.raises(MalformedError) as caught:
            crm_mon.parse(data)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_entity_expansion_is_refused(self) -> None:
        bomb = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
        doctype = f'<!DOCTYPE crm_mon [<!ENTITY e0 "x">{bomb}]>'
        data = f"{doctype}<crm_mon><summary>&e12;</summary></crm_mon>"
        with pytest.raises(MalformedError):
            crm_mon.parse(data.encode())

    def test_external_entities_are_refused(self) -> None:
        data = b'<!DOCTYPE crm_mon SYSTEM "file:///etc/passwd"><crm_mon><summary/></crm_mon>'
        with pytest.raises(MalformedError, match="document type definition"):
            crm_mon.parse(data)

    def test_too_deep_trees_are_refused(self) -> None:
        deep = b"<a>" * 100_000 + b"</a>" * 100_000
        with pytest.raises(MalformedError):
            crm_mon.parse(document(deep.decode()))

    def test_document_without_a_summary_is_incomplete(self) -> None:
        for data in (
            b"<pacemaker-result><status code='0'/></pacemaker-result>",
            b"<crm_mon><a/></crm_mon>",
        ):
            with pytest.raises(UnreadableError) as caught:
                crm_mon.parse(data)
            assert caught.value.failure.outcome is Outcome.INCOMPLETE


def test_empty_summary_gives_an_empty_snapshot() -> None:
    assert crm_mon.parse(b"<crm_mon><summary/></crm_mon>") == Snapshot(Cluster())


class TestErrorMessages:
    """Whole messages, as operators read them in the log."""

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
                    "crm_mon has no access to the cluster (exit status 4): Denied;"
                    " add the exporter's user to group haclient"
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
    def test_failure_has_the_expected_outcome_and_message(
        self, completed: Completed, outcome: Outcome, words: str
    ) -> None:
        assert crm_mon.read(completed) == Failure(outcome, words)

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (
                b"a" * 101 + b"\nb",
                f"crm_mon did not print XML: {'a' * 100!r}",
            ),
            (b"first\nsecond", "crm_mon did not print XML: 'first'"),
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
    def test_malformed_output_has_the_expected_message(self, data: bytes, words: str) -> None:
        with pytest.raises(MalformedError) as caught:
            crm_mon.parse(data)
        assert str(caught.value) == words

    def test_ill_formed_xml_has_the_expected_message(self) -> None:
        with pytest.raises(
            MalformedError, match=r"crm_mon printed ill-formed XML: Opening and ending tag"
        ):
            crm_mon.parse(b"<crm_mon><summary></crm_mon>")

    def test_repeated_replica_has_the_expected_message(self) -> None:
        replica = f'<replica id="0">{CONTAINER.format(STARTED, ON_C0)}</replica>'
        twice = f'<bundle id="web" type="podman">{replica * 2}</bundle>'
        with pytest.raises(MalformedError) as caught:
            crm_mon.parse(document(f"{NODES}<resources>{twice}</resources>"))
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


def test_requests_share_one_timeout_and_the_error_names_them(
    clock: FrozenDateTimeFactory,
) -> None:
    slow = Slow(clock)
    failure = failed(crm_mon.CrmMon(slow, "/x/crm_mon", FrozenClock()).ask(5))
    assert slow.allowed == pytest.approx([5, 2, 0])
    assert failure.message == (
        "crm_mon accepts neither --output-as=xml nor --as-xml (exit status 64):"
        " crm_mon: Unknown option --x; is /x/crm_mon a crm_mon?"
    )


def test_too_long_values_are_refused() -> None:
    with pytest.raises(MalformedError, match="ill-formed"):
        crm_mon.parse(document(f'<bans><ban id="{"x" * 11_000_000}"/></bans>'))


def test_ban_is_read_with_both_names_of_promoted_and_without_a_node() -> None:
    bans = (
        '<ban id="1" node="n" promoted-only="true"/>',
        '<ban id="2" master_only="true"/>',
        '<ban id="3"/>',
    )
    seen = crm_mon.parse(document(f"<bans>{''.join(bans)}</bans>")).bans
    assert [(ban.node, ban.promoted_only) for ban in seen] == [("n", True), ("", True), ("", False)]


def test_failed_action_is_named_by_its_key_or_id() -> None:
    failures = '<failure op_key="a_monitor_1"/><failure id="b_start_0"/><failure/>'
    seen = crm_mon.parse(document(f"<failures>{failures}</failures>")).failed_actions
    assert [(action.resource, action.operation) for action in seen] == [
        ("a", "monitor"),
        ("b", "start"),
        ("", ""),
    ]


def test_maintenance_of_a_bundle_is_read() -> None:
    bundles = '<bundle id="a" maintenance="true"/><bundle id="b"/>'
    seen = crm_mon.parse(document(f"<resources>{bundles}</resources>")).bundles
    assert [bundle.maintenance for bundle in seen] == [True, False]


def test_maintenance_of_a_resource_is_read() -> None:
    flagged = CONTAINER.format(f'{STARTED} maintenance="true"', ON_C0)
    assert only_replica(bundle(flagged)).container.maintenance
    assert not only_replica(bundle(CONTAINER.format(STARTED, ON_C0))).container.maintenance


@pytest.mark.parametrize(
    ("text", "flag"),
    [(text, True) for text in ("true", "on", "yes", "y", "1", "TRUE")]
    + [(text, False) for text in ("false", "off", "no", "n", "0", "No")],
)
def test_boolean_is_read_in_every_spelling(text: str, flag: bool) -> None:
    (node,) = crm_mon.parse(document(f'<nodes><node name="n" online="{text}"/></nodes>')).nodes
    assert node.online is flag


@pytest.mark.parametrize(
    ("text", "score"),
    [("INFINITY", 10**6), ("+INFINITY", 10**6), ("-INFINITY", -(10**6)), ("-7", -7), ("x", 0)],
)
def test_score_is_read_in_every_spelling(text: str, score: int) -> None:
    (ban,) = crm_mon.parse(document(f'<bans><ban id="b" weight="{text}"/></bans>')).bans
    assert ban.score == score


def test_host_that_is_not_listed_has_unknown_properties() -> None:
    elsewhere = CONTAINER.format(STARTED, '<node name="lost" id="9"/>')
    (node,) = only_replica(bundle(elsewhere)).hosts
    assert (node.name, node.id, node.type) == ("lost", "", NodeType.UNKNOWN)
    flags = ("online", "standby", "standby_onfail", "maintenance", "pending", "unclean",
             "shutdown", "expected_up", "dc")  # fmt: skip
    assert not any(getattr(node, name) for name in flags)
    assert (node.health, node.feature_set) == (None, "")


HEALTHY = see.captured("live-2.1.5/01-healthy.xml")


def test_parsed_document_is_emptied_below_its_sections() -> None:
    root = parse_document(HEALTHY, "crm_mon")
    assert root.findall("*/*/*")
    free_in_pieces(root)
    assert not any(len(element) or element.attrib for element in root.iterfind("*/*"))


class TestReuseBetweenAnswers:
    @pytest.fixture
    def cache(self) -> ParseCache:
        return ParseCache()

    @pytest.fixture
    def before(self, cache: ParseCache) -> tuple[Bundle, ...]:
        return crm_mon.parse(HEALTHY, cache=cache).bundles

    def same(self, data: bytes, cache: ParseCache, before: tuple[Bundle, ...]) -> list[bool]:
        """Whether each bundle of the next document is the same object as before."""
        after = crm_mon.parse(data, cache=cache).bundles
        return [now is then for now, then in zip(after, before, strict=True)]

    def test_unchanged_bundle_is_the_same_object(
        self, cache: ParseCache, before: tuple[Bundle, ...]
    ) -> None:
        upgraded = HEALTHY.replace(b"redis:pcmklatest", b"redis:new")
        assert self.same(upgraded, cache, before) == [True, True, False, True]
        assert crm_mon.parse(upgraded, cache=cache).bundles[2].image.endswith("redis:new")

    def test_bundle_is_read_again_when_a_host_changed(
        self, cache: ParseCache, before: tuple[Bundle, ...]
    ) -> None:
        assert all(replica.ready for bundle in before for replica in bundle.replicas)
        online = b'name="controller-2" id="3" online="'
        lost = HEALTHY.replace(online + b"true", online + b"false")
        for bundle in crm_mon.parse(lost, cache=cache).bundles:
            assert [r.ready for r in bundle.replicas].count(False) == 1

    def test_bundle_is_the_same_object_when_an_unrelated_node_changed(
        self, cache: ParseCache, before: tuple[Bundle, ...]
    ) -> None:
        joined = HEALTHY.replace(b"<nodes>", b'<nodes><node name="new" online="true"/>')
        assert all(self.same(joined, cache, before))
        busier = HEALTHY.replace(b'resources_running="', b'resources_running="1')
        assert all(self.same(busier, cache, before))

    def test_only_the_bundle_of_a_changed_guest_node_is_read_again(
        self, cache: ParseCache, before: tuple[Bundle, ...]
    ) -> None:
        guest = b'name="rabbitmq-bundle-0" id="rabbitmq-bundle-0" online="'
        lost = HEALTHY.replace(guest + b"true", guest + b"false")
        assert self.same(lost, cache, before) == [True, False, True, True]

    def test_refused_document_leaves_the_cache_unchanged(
        self, cache: ParseCache, before: tuple[Bundle, ...]
    ) -> None:
        with pytest.raises(MalformedError):
            crm_mon.parse(HEALTHY.replace(b'<replica id="2">', b"<replica>"), cache=cache)
        assert all(self.same(HEALTHY, cache, before))

    def test_bundle_is_forgotten_when_a_document_lacks_it(
        self, cache: ParseCache, before: tuple[Bundle, ...]
    ) -> None:
        crm_mon.parse(document(NODES), cache=cache)
        assert not any(self.same(HEALTHY, cache, before))
        assert crm_mon.parse(HEALTHY, cache=cache).bundles == before
