"""Resources outside bundles, failures, fencing, constraints, tickets and attributes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.cluster.model import Ban, FailedAction, FencingEvent, Snapshot
from exporter.cluster.observation import Observation
from exporter.cluster.selection import Collector, Selection
from exporter.judgement.judge import judge
from exporter.metrics.families import FAMILIES
from exporter.metrics.text import render
from exporter.pacemaker import cib, crm_mon
from exporter.pacemaker.crm_mon import requests
from exporter.runtime.clock import SystemClock
from tests.support.harness import see
from tests.support.harness.results import good, left
from tests.support.model.states import STATES

REASON = "e08-child-failed-block"


def snapshot(body: str) -> Snapshot:
    nodes = "" if "<nodes" in body else "<nodes/>"  # without nodes it would be a selection
    return crm_mon.parse(f"<crm_mon><summary/>{nodes}{body}</crm_mon>".encode())


def shown(seen: Snapshot | Observation, prefix: str) -> dict[str, float]:
    """The series of some families, without what is 0."""
    observation = seen if isinstance(seen, Observation) else Observation(seen)
    page = see.series(see.text(observation))
    return {
        name.removeprefix(prefix): value
        for name, value in page.items()
        if name.startswith(prefix) and value
    }


def resource(identity: str, role: str = "Started", *nodes: str, flags: str = "") -> str:
    active = "true" if nodes else "false"
    on = "".join(f'<node name="{node}"/>' for node in nodes)
    attributes = f'resource_agent="ocf::x:Y" role="{role}" active="{active}" {flags}'
    return f'<resource id="{identity}" {attributes}>{on}</resource>'


class TestResources:
    def test_instances_are_counted_by_node_and_role(self) -> None:
        members = resource("ping", "Started", "a") * 2 + resource("ping", "Stopped") * 3
        found = shown(
            snapshot(f'<resources><clone id="c">{members}</clone></resources>'),
            "pacemaker_resource_role",
        )
        labels = 'resource="ping",agent="ocf:x:Y",group="",clone="c"'
        assert found == {
            f'{{{labels},node="a",role="started"}}': 2,
            f'{{{labels},node="",role="stopped"}}': 3,
        }

    def test_resource_active_on_two_nodes_counts_on_each(self) -> None:
        body = f"<resources>{resource('ip', 'Started', 'a', 'b')}</resources>"
        found = shown(snapshot(body), 'pacemaker_resource_role{resource="ip",agent="ocf:x:Y",')
        assert found == {
            'group="",clone="",node="a",role="started"}': 1,
            'group="",clone="",node="b",role="started"}': 1,
        }

    def test_groups_in_clones_have_one_name(self) -> None:
        groups = "".join(
            f'<group id="g:{number}">{resource("p", "Started", node)}</group>'
            for number, node in enumerate("abc")
        )
        body = f'<resources><clone id="c">{groups}</clone></resources>'
        places = {(i.resource.id, i.group, i.clone) for i in snapshot(body).instances}
        assert places == {("p", "g", "c")}

    def test_orphan_may_share_the_id_of_a_resource(self) -> None:
        orphan = resource("p", "Started", "a", flags='orphaned="true"')
        body = f"<resources>{resource('p', 'Started', 'a')}{orphan}</resources>"
        found = shown(snapshot(body), 'pacemaker_resource_condition{resource="p",agent="ocf:x:Y",')
        labels = 'group="",clone="",node="a",condition='
        assert found == {f'{labels}"active"}}': 2, f'{labels}"orphaned"}}': 1}

    @pytest.mark.parametrize(
        ("flags", "conditions"),
        [
            ('failed="true" failure_ignored="true"', {"failed", "failure_ignored"}),
            ('blocked="true" managed="false" failed="true"', {"blocked", "failed"}),
            ('managed="false"', {"unmanaged"}),
            ('target_role="sTopped"', {"disabled"}),
            ('target_role="Slave"', set()),
            ('pending="Monitoring"', set()),
            ('pending="Stopping"', {"pending"}),
            ('maintenance="true"', {"maintenance"}),
        ],
    )
    def test_conditions_of_a_resource_are_shown(self, flags: str, conditions: set[str]) -> None:
        body = f"<resources>{resource('p', 'Stopped', flags=flags)}</resources>"
        found = shown(snapshot(body), "pacemaker_resource_condition")
        assert {re.sub('.*condition="|"}', "", name) for name in found} == conditions

    def test_maintenance_of_the_node_puts_its_resources_in_maintenance(self) -> None:
        nodes = '<nodes><node name="a" online="true" maintenance="true"/></nodes>'
        body = f"{nodes}<resources>{resource('p', 'Started', 'a')}</resources>"
        name = 'pacemaker_resource_condition{resource="p"'
        assert any("maintenance" in key for key in shown(snapshot(body), name))
        everywhere = snapshot(body.replace('maintenance="true"', ""))
        assert not any("maintenance" in key for key in shown(everywhere, name))

    def test_conditions_that_do_not_hold_are_absent(self) -> None:
        body = f"<resources>{resource('p', 'Stopped')}</resources>"
        text = see.text(Observation(snapshot(body)))
        assert "\npacemaker_resource_condition{" not in text
        assert "\npacemaker_resource_role{" in text


class TestFailures:
    def test_fail_counts_belong_to_their_replica(self) -> None:
        seen = crm_mon.parse(see.captured("live-2.1.5/03c-rabbitmq-stop-failed-blocked.xml"))
        assert shown(seen, "pacemaker_resource_failures") == {
            '{resource="rabbitmq",node="rabbitmq-bundle-1",bundle="rabbitmq-bundle",'
            'bundle_replica="1"}': 1_000_000
        }
        container = '{resource="haproxy-bundle-podman-2",node="controller-2",'
        zero = (
            f'pacemaker_resource_failures{container}bundle="haproxy-bundle",bundle_replica="2"}} 0'
        )
        assert zero in see.text(Observation(seen))

    def test_infinite_fail_count_wins_over_a_repeated_entry(self) -> None:
        entry = '<resource_history id="p" migration-threshold="3" {}/>'
        history = entry.format('fail-count="INFINITY"') + entry.format('fail-count="2"')
        body = f'<node_history><node name="a">{history}</node></node_history>'
        assert shown(snapshot(body), "pacemaker_resource_failures") == {
            '{resource="p",node="a",bundle="",bundle_replica=""}': 1_000_000
        }
        assert shown(snapshot(body), "pacemaker_resource_migration_threshold") == {
            '{resource="p",node="a",bundle="",bundle_replica=""}': 3
        }

    def test_unreadable_time_is_left_out_and_counted(self) -> None:
        entry = '<resource_history id="{}" fail-count="1" last-failure="{}"/>'
        good, bad = entry.format("p", "Sun Sep 13 12:26:40 2020"), entry.format("q", "yesterday")
        seen = snapshot(f'<node_history><node name="a">{good}{bad}</node></node_history>')
        assert shown(seen, "pacemaker_resource_last_failure_timestamp_seconds") == {
            '{resource="p",node="a",bundle="",bundle_replica=""}': 1_600_000_000
        }
        assert seen.unreadable_times == 1

    @pytest.mark.parametrize(
        ("key", "task", "resource"),
        [
            ("galera_monitor_10000", "monitor", "galera"),
            ("my_db_migrate_to_0", "migrate_to", "my_db"),
            ("my_db_migrate_from_0", "migrate_from", "my_db"),
            ("a_b:1_stop_0", "stop", "a_b:1"),
            ("unheard-of", "", "unheard-of"),
        ],
    )
    def test_operation_key_names_the_resource(self, key: str, task: str, resource: str) -> None:
        failure = f'<failure op_key="{key}" node="a" exitcode="1" status="Timed Out"/>'
        (action,) = snapshot(f"<failures>{failure}</failures>").failed_actions
        assert action == FailedAction(resource, "a", task, "Timed Out", "1")

    def test_failed_action_listed_twice_counts_twice(self) -> None:
        failure = '<failure op_key="p_stop_0" node="a" exitcode="1" status="complete"/>'
        found = shown(snapshot(f"<failures>{failure * 2}</failures>"), "pacemaker_failed_actions")
        assert list(found.values()) == [2]

    def test_failed_actions_are_counted(self) -> None:
        seen = crm_mon.parse(see.captured("live-2.1.5/03b-galera-replica-failed.xml"))
        where = 'bundle="galera-bundle",bundle_replica='
        assert shown(seen, "pacemaker_failed_actions") == {
            f'{{resource="galera",node="galera-bundle-1",{where}"1",'
            'operation="monitor",status="complete",rc="5"}': 1,
            f'{{resource="galera",node="galera-bundle-0",{where}"0",'
            'operation="demote",status="complete",rc="7"}': 1,
        }
        assert [a.reason for a in seen.failed_actions] == ["5 GB redirected to /dev/null", ""]

    @pytest.mark.parametrize(
        "capture", [f"1.1.18/{REASON}.legacy", f"2.0.5/{REASON}", f"2.1.2/{REASON}",
                    f"2.1.5/{REASON}", f"3.0.2/{REASON}"],
    )  # fmt: skip
    def test_every_version_escapes_special_characters_in_a_reason(self, capture: str) -> None:
        seen = crm_mon.parse(see.captured(f"{capture}.xml"))
        assert {a.reason for a in seen.failed_actions} == {'disk <full> & "broken" \u00fc'}

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("Done", "complete"), ("complete", "complete"), ("Timed out", "Timed Out"),
            ("Timed Out", "Timed Out"), ("Unsupported", "NOT SUPPORTED"), ("Pending", "pending"),
            ("Error", "Error"), ("No fence device", "No fence device"), ("193", "193"), ("", ""),
        ],
    )  # fmt: skip
    def test_status_has_the_same_name_in_every_version(self, written: str, read: str) -> None:
        body = f'<failures><failure op_key="r_monitor_0" status="{written}"/></failures>'
        assert [a.status for a in snapshot(body).failed_actions] == [read]

    def test_invalid_bytes_do_not_break_a_reason(self) -> None:
        failure = r'<failure op_key="r_monitor_0" exitreason="a\37777777703\011 \37777777403"/>'
        (action,) = snapshot(f"<failures>{failure}</failures>").failed_actions
        assert action.reason == "a\ufffd" + r"\011 \37777777403"

    def test_id_names_the_resource_without_an_operation_key(self) -> None:
        identities = ("a_b_last_failure_0", "a_b_last_0", "a_b_monitor_10000")
        failures = "".join(f'<failure id="{identity}" task="monitor"/>' for identity in identities)
        found = snapshot(f"<failures>{failures}</failures>").failed_actions
        assert {(a.resource, a.operation) for a in found} == {("a_b", "monitor")}
        (untold,) = snapshot(f'<failures><failure id="{identities[0]}"/></failures>').failed_actions
        assert (untold.resource, untold.operation) == ("a_b", "")

    def test_reason_none_means_no_reason(self) -> None:
        failure = '<failure op_key="r_monitor_0" node="a" exitreason="{}"/>'
        failures = "".join(map(failure.format, ("none", "nonessential", "")))
        seen = snapshot(f"<failures>{failures}</failures>")
        assert [a.reason for a in seen.failed_actions] == ["", "nonessential", ""]

    @pytest.mark.parametrize("flags", ['orphan="true"', 'orphan="true" removed="true"'])
    def test_removed_resource_has_a_history_without_fail_count(self, flags: str) -> None:
        kept = '<resource_history id="kept" orphan="false" migration-threshold="3"/>'
        gone = f'<resource_history id="gone" {flags}><operation_history/></resource_history>'
        body = f'<node_history><node name="a">{gone}{kept}</node></node_history>'
        assert [entry.resource for entry in snapshot(body).history] == ["kept"]


class TestFencing:
    EVENT = '<fence_event action="reboot" target="a" status="{}" {}/>'

    def test_fencing_actions_are_counted_by_status_with_their_last_time(self) -> None:
        events = "".join(
            self.EVENT.format(*event)
            for event in (
                (
                    "failed",
                    'completed="2020-09-13 12:26:40Z" exit-reason="no &lt;route&gt; &amp;amp;"',
                ),
                ("failed", 'completed="2020-09-13 12:26:41Z"'),
                ("success", 'completed="2020-09-13 12:26:42Z"'),
                ("pending", ""),
            )
        )
        seen = snapshot(f'<fence_history status="0">{events}</fence_history>')
        assert seen.fencing is not None
        assert seen.fencing[0].reason == "no <route> &amp;", "escaped once, unlike an exitreason"
        labels = '{target="a",action="reboot",status='
        assert shown(seen, "pacemaker_fencing_actions") == {
            f'{labels}"failed"}}': 2,
            f'{labels}"success"}}': 1,
            f'{labels}"pending"}}': 1,
        }
        assert shown(seen, "pacemaker_fencing_last_action_timestamp_seconds") == {
            f'{labels}"failed"}}': 1_600_000_001,
            f'{labels}"success"}}': 1_600_000_002,
        }

    @pytest.mark.parametrize("status", ["success", "failed", "pending"])
    def test_attribute_state_is_read_as_status_before_2_0_3(self, status: str) -> None:
        event = (
            f'<fence_event target="a" action="off" state="{status}" origin="b" client="crmd.9"/>'
        )
        seen = snapshot(f"<fence_history>{event}</fence_history>")
        assert shown(seen, "pacemaker_fencing_actions") == {
            f'{{target="a",action="off",status="{status}"}}': 1
        }

    def test_time_of_fencing_keeps_microseconds(self) -> None:
        event = self.EVENT.format("success", 'completed="2026-10-05 12:02:42.088147Z"')
        seen = snapshot(f'<fence_history status="0">{event}</fence_history>')
        assert seen.unreadable_times == 0
        assert shown(seen, "pacemaker_fencing_last_action_timestamp_seconds") == {
            '{target="a",action="reboot",status="success"}': 1_791_201_762.088147
        }

    def test_fencing_history_with_an_error_is_missing(self) -> None:
        seen = crm_mon.parse(see.captured("live-2.1.5/15b-startup-no-node-yet.xml"))
        assert seen.fencing is None
        assert shown(seen, "pacemaker_fencing") == {"_history_missing": 1}
        assert snapshot("").fencing == ()

    def test_captured_cluster_without_fencing_has_an_empty_history(self) -> None:
        seen = crm_mon.parse(see.captured("live-2.1.5/01-healthy.xml"))
        assert seen.fencing == ()
        event = FencingEvent("a", "reboot", "success")
        assert event.completed is None


class TestConstraints:
    def test_bans_say_whether_a_move_left_them_behind(self) -> None:
        ban = '<ban id="{}" resource="r" node="a" weight="{}" {}/>'
        bans = (
            ban.format("cli-ban-r-on-a", "-1000000", 'promoted-only="true" master_only="true"')
            + ban.format("location-r", "-INFINITY", 'master_only="true"')
            + ban.format("location-s", "-5", "")
        )
        # Without the CIB, as of a saved answer.
        seen = Observation(snapshot(f"<bans>{bans}</bans>"))
        assert shown(seen, "pacemaker_location_ban_score") == {
            '{constraint="cli-ban-r-on-a",resource="r",node="a",promoted_only="true",'
            'origin="cli"}': -1_000_000,
            '{constraint="location-r",resource="r",node="a",promoted_only="true",'
            'origin="config"}': -1_000_000,
            '{constraint="location-s",resource="r",node="a",promoted_only="false",'
            'origin="config"}': -5,
        }

    def test_preferences_are_read_from_the_cib(self) -> None:
        rule = (
            '<rule score="INFINITY"><expression attribute="#uname" operation="eq" value="b"/>'
            '<date_expression operation="lt" end="2030-01-01"/></rule>'
        )
        constraints = (
            '<rsc_location id="cli-prefer-ip" rsc="ip" node="a" score="INFINITY"/>'
            f'<rsc_location id="cli-prefer-db" rsc="db" role="Promoted">{rule}</rsc_location>'
            '<rsc_location id="location-x" rsc="x" node="a" score="INFINITY"/>'
            '<rsc_location id="cli-prefer-y" rsc="y" node="a" score="-INFINITY"/>'
        )
        body = f"<configuration><constraints>{constraints}</constraints></configuration>"
        assert cib.parse(f"<cib>{body}</cib>".encode()).preferences == (
            Ban("cli-prefer-ip", "ip", "a", 1_000_000),
            Ban("cli-prefer-db", "db", "b", 1_000_000, promoted_only=True),
        )

    def test_tickets_are_shown_in_both_notations(self) -> None:
        seen = snapshot(
            '<tickets><ticket id="old" status="granted" standby="true"/>'
            '<ticket id="new" status="revoked" granted="true"/><ticket id="none"/></tickets>'
        )
        assert shown(seen, "pacemaker_ticket_granted") == {
            '{ticket="old"}': 1,
            '{ticket="new"}': 1,
        }
        assert shown(seen, "pacemaker_ticket_standby") == {'{ticket="old"}': 1}


class TestAttributes:
    BODY = """<node_attributes><node name="a">
      <attribute name="pingd" value="1000"/><attribute name="load" value="0.5"/>
      <attribute name="standby" value="off"/><attribute name="up" value="-INFINITY"/>
      <attribute name="odd" value="nan"/></node></node_attributes>"""

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            ("pingd", {"pingd": 1000}),
            ("ping", {}),
            (".*", {"pingd": 1000, "load": 0.5, "up": -1_000_000}),
            ("load|up", {"load": 0.5, "up": -1_000_000}),
        ],
    )
    def test_numeric_attributes_with_allowed_names_are_shown(
        self, names: str, expected: Mapping[str, float]
    ) -> None:
        seen = Observation(snapshot(self.BODY), attribute_names=re.compile(names))
        assert shown(seen, "pacemaker_node_attribute") == {
            f'{{node="a",attribute="{name}"}}': value for name, value in expected.items()
        }


class TestCollectors:
    def test_disabled_collectors_are_not_requested(self) -> None:
        everything = requests(frozenset(Collector))[0].argv(histories=True)[-1]
        assert everything == (
            "--include=none,summary,options,nodes,resources,attributes,failcounts,operations,"
            "failures,fencing"
        )
        assert (
            requests(())[0].argv(histories=True)[-1]
            == "--include=none,summary,options,nodes,resources,attributes"
        )
        fencing = requests({Collector.FENCING})[0].argv(histories=True)[-1]
        assert fencing.endswith(",attributes,fencing")

    @pytest.mark.parametrize("collector", sorted(set(Collector) - {Collector.COROSYNC}))
    def test_every_collector_has_its_own_families(self, collector: Collector) -> None:
        """Corosync has declarations of its own, and is not asked if it is off."""
        assert any(family.collector is collector for family in FAMILIES)

    def test_pingd_is_the_only_attribute_shown_by_default(self) -> None:
        assert Selection().attribute_names.pattern == "pingd"

    @pytest.mark.real
    @pytest.mark.parametrize("left_out", Collector)
    def test_real_crm_mon_leaves_out_what_is_not_requested(
        self, left_out: Collector, tmp_path: Path
    ) -> None:
        path = STATES["constraints"].write(tmp_path / "cib.xml")
        collectors = frozenset(Collector) - {left_out}
        commands = see.real_commands(path)
        program = see.need("crm_mon")
        asked = left(crm_mon.CrmMon(commands, program, SystemClock(), collectors).ask(60))
        everything = see.ask(commands)
        assert "--include=" in " ".join(good(asked).argv)

        def blocks(seen: Snapshot) -> list[tuple[str, ...]]:
            families = [
                family
                for family in FAMILIES
                # Some problems are known from what is left out.
                if family.collector is not left_out and family.name != "pacemaker_problems"
            ]
            return [block.lines for block in render(families, judge(Observation(seen)))]

        assert blocks(good(crm_mon.read(asked))) == blocks(good(crm_mon.read(everything)))

    @pytest.mark.real
    def test_short_request_shows_as_much_as_the_full_one(self, tmp_path: Path) -> None:
        for name in ("service-failed", "clones", "constraints", "tickets", "node-health"):
            path = STATES[name].write(tmp_path / "cib.xml")
            commands = see.real_commands(path)
            short, full, legacy = (
                good(
                    crm_mon.read(
                        commands.run((see.need("crm_mon"), *request.argv(histories=True)), 60)
                    )
                )
                for request in requests(frozenset(Collector))
            )
            assert not short.bans
            assert not short.tickets
            asked = replace(full, bans=(), tickets=())
            assert see.text(Observation(short)) == see.text(Observation(asked)), name
            assert short.instances == legacy.instances, name
            assert short.history == legacy.history, name


@pytest.mark.real
@pytest.mark.parametrize("name", ["clones", "constraints", "tickets", "virtual-ip-failed"])
def test_page_with_everything_around_bundles_is_the_expected_one(
    name: str, tmp_path: Path, golden: Callable[[str, str], None]
) -> None:
    path = STATES[name].write(tmp_path / "cib.xml")
    golden(f"states/{name}.prom", see.text(see.observe(path)))
