"""`show` for a person, a pipe and a script; secrets stay hidden from all of them."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from freezegun import freeze_time
from rich.console import Console

from exporter.cli import show
from exporter.cli.flags import parse_show
from exporter.cluster.configuration import (
    Configuration,
    ConfiguredResource,
    Dependency,
    ResourceKind,
)
from exporter.cluster.corosync import (
    ConfiguredNode,
    Corosync,
    CorosyncCounters,
    CorosyncSettings,
    CorosyncState,
    Link,
    Member,
    Pause,
    Quorum,
    Ring,
)
from exporter.cluster.model import (
    Ban,
    Bundle,
    Cluster,
    FailedAction,
    FencingEvent,
    Instance,
    Node,
    NodeType,
    Replica,
    Resource,
    ResourceHistory,
    Role,
    Snapshot,
    Ticket,
)
from exporter.cluster.observation import Observation, Origin
from exporter.cluster.outcome import Failure, Outcome, Stopped
from exporter.cluster.sbd import Sbd
from exporter.judgement.judge import judge
from exporter.pacemaker import cib, crm_mon
from exporter.pacemaker.cib import UnknownBundleError
from exporter.pacemaker.demo import DemoCommands
from exporter.pacemaker.runner import Completed
from exporter.report import tables
from exporter.report.document import _iso, details_document, document
from exporter.report.secrets import HIDDEN, _masked, without_secrets
from exporter.report.wanted import Wanted
from exporter.sources.tools import Tools
from tests.support.harness import programs, see
from tests.support.harness.fakes import FrozenClock
from tests.support.harness.results import good
from tests.support.model.states import NOW, STATES
from tests.support.model.status import fenced

PROGRAM = [sys.executable, "-m", "exporter"]
CAPTURE = str(see.CAPTURES / "live-2.1.5" / "07-node-unclean-pending-fencing.xml")
SUMMARY, ALL = Wanted(), Wanted(everything=True)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


WIDTH = 100
"""Columns of the pages that are compared."""


def plain(
    seen: Observation, width: int = WIDTH, now: float = NOW + 2.0, wanted: Wanted = SUMMARY
) -> str:
    console = Console(width=width, color_system=None)
    return show.text_of(show.page(judge(seen), now, wanted), console)


def observed(state: str, directory: Path) -> Observation:
    path = STATES[state].write(directory / "cib.xml")
    return replace(see.observe(path), local_node="controller-0", taken=float(NOW))


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in {"FORCE_COLOR", "NO_COLOR"}}
    return subprocess.run(
        [*PROGRAM, "show", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=60,
        env={**clean, **environment},
    )


# ---- The page ----


@pytest.mark.real
@pytest.mark.parametrize(
    "state",
    [
        "healthy-fenced",
        "healthy",
        "node-unclean",
        "blocked",
        "service-failed",
        "bundle-disabled",
        "constraints",
        "clones",
        "networked",
        "connection-elsewhere",
        "cluster-maintenance",
        "node-maintenance",
        "unique",
    ],
)
def test_page_of_a_state_is_the_expected_one(
    state: str, tmp_path: Path, golden: Callable[[str, str], None]
) -> None:
    seen = observed(state, tmp_path)
    if state != "healthy":
        seen = fenced(seen)
    page = plain(seen)
    golden(f"show/{state}.txt", page)
    assert "\x1b" not in page
    assert page.isascii()
    assert all(len(line) <= WIDTH and line == line.rstrip() for line in page.split("\n"))
    for width in (40, 80, 200):  # nothing is cut off, however narrow the window
        narrow = plain(seen, width)
        for bundle in seen.snapshot.bundles:
            assert bundle.id in narrow
    assert not re.search(r"\b(podman|docker|systemctl) (ps|stop|start|rm|restart)", page)


@pytest.mark.real
def test_colour_changes_no_word(tmp_path: Path) -> None:
    seen = observed("node-unclean", tmp_path)
    terminal = Console(width=WIDTH, force_terminal=True, color_system="standard", no_color=False)
    coloured = show.text_of(show.page(judge(seen), NOW + 2.0), terminal)
    assert "\x1b[" in coloured
    # What pads a table is inside the colours there.
    lines = [line.rstrip() for line in ANSI.sub("", coloured).split("\n")]
    assert lines == plain(seen).split("\n")


def test_page_of_the_demonstration_is_the_expected_one(golden: Callable[[str, str], None]) -> None:
    with freeze_time("2026-11-22 12:00:00") as frozen:
        clock = FrozenClock()
        tools = Tools(DemoCommands(clock))
        frozen.tick(105)
        judgement = good(show._observe(tools, clock, parse_show(["--demo"])))
        now = clock.time()
    golden("show/demo.txt", plain(judgement.observation, now=now))


@pytest.mark.parametrize(
    "name", ["03c-rabbitmq-stop-failed-blocked", "12-quorum-lost", "15a-startup-before-dc"]
)
def test_saved_answer_has_no_age(name: str, golden: Callable[[str, str], None]) -> None:
    snapshot = crm_mon.parse(see.captured(f"live-2.1.5/{name}.xml"))
    page = plain(Observation(snapshot, origin=Origin.FILE))
    golden(f"show/from-file-{name}.txt", page)
    assert " ago" not in page


def test_promoted_max_of_promotable_bundles_is_unknown_without_the_cib() -> None:
    seen = Observation(crm_mon.parse(see.captured("live-2.1.5/01-healthy.xml")))
    page = plain(seen, wanted=ALL)
    assert "\ngalera-bundle 3/3 ready, 3 promoted (promoted-max unknown)\n" in page
    assert "\nrabbitmq-bundle 3/3 ready\n" in page  # what is merely started is not promotable
    assert "\nhaproxy-bundle 3/3 ready\n" in page


ODD = "[red]a[/red]\u009b31m\u202e\n[link=x]"
SHOWN = "[red]a[/red]\\x9b31m\\u202e\\n[link=x]"


def odd() -> Snapshot:
    """A snapshot in which every text has control characters and markup."""
    node = Node(ODD, type=NodeType.MEMBER, online=True, health=ODD)
    container = Resource(ODD, ODD, Role.STARTED, active=True, pending=ODD, nodes=(node,))
    replica = Replica(ODD, container, primitive=container, connection=container)
    bundle = Bundle(
        ODD, ODD, ODD, unique=True, managed=False, failed=True, maintenance=True,
        replicas=(replica,),
    )  # fmt: skip
    return Snapshot(
        Cluster(pacemaker_version=ODD, stack=ODD, dc_elected=True, dc_name=ODD, last_change=ODD),
        (node,),
        (bundle,),
        (Instance(container, ODD, ODD), Instance(replace(container, failed=True), ODD, ODD)),
        (ResourceHistory(ODD, ODD, 3, 3, 0.0),),
        (FailedAction(ODD, ODD, ODD, ODD, ODD, ODD, 0.0),),
        (FencingEvent(ODD, ODD, ODD, 0.0, ODD, ODD),),
        (Ban(f"cli-ban-{ODD}", ODD, ODD, -1_000_000),),
        (Ticket(ODD, granted=True, standby=True),),
    )


def test_control_characters_and_markup_in_names_are_escaped() -> None:
    seen = Observation(odd(), Configuration(ODD, {}), ODD, taken=10.0)
    for console in (
        Console(width=2000, color_system=None),
        Console(width=2000, force_terminal=True, color_system="truecolor"),
    ):
        shown = ANSI.sub("", show.text_of(show.page(judge(seen), 50.0), console))
        assert all(c.isprintable() or c == "\n" for c in shown)
        assert shown.count(SHOWN) > 30
        assert shown.count("[red]") == shown.count(SHOWN)
    text = json.dumps(document(judge(seen)))
    assert text.isascii()
    assert "\\u009b" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"),
     (172_800, "2 d")],
)  # fmt: skip
def test_ages_are_rounded_to_one_unit(seconds: float, words: str) -> None:
    assert tables.age(seconds) == words


def test_time_in_the_future_has_no_age() -> None:
    assert tables.when(3600.0, 0.0) == "1970-01-01 01:00:00"


def test_time_beyond_the_calendar_is_left_out() -> None:
    assert tables.when(253_402_300_800.0, None) == ""
    assert _iso(253_402_300_800.0) is None


# ---- JSON ----

RESOURCE = {
    "id", "agent", "role", "active", "orphaned", "blocked", "managed", "failed",
    "failure_ignored", "maintenance", "target_role", "pending", "locked_to",
    "nodes",
}  # fmt: skip
KEYS: Mapping[str, set[str]] = {
    "": {
        "source", "taken_at", "local_node", "trusted", "configuration_current", "cluster", "nodes",
        "bundles", "resources", "clones", "history", "failed_actions", "fencing", "bans", "tickets",
        "corosync", "sbd", "problems",
    },
    "cluster": {
        "name", "pacemaker_version", "api_version", "stack", "dc_elected", "dc_name", "quorate",
        "mixed_version", "last_change", "last_change_time", "last_change_user",
        "last_change_client", "last_change_origin", "nodes_configured",
        "resources_configured", "resources_disabled", "resources_blocked", "fencing_enabled",
        "symmetric", "maintenance_mode", "stop_all_resources", "watchdog",
        "stonith_watchdog_timeout",
    },
    "nodes": {
        "name", "id", "type", "online", "standby", "standby_onfail", "maintenance", "pending",
        "unclean", "shutdown", "expected_up", "dc", "health", "feature_set", "resource", "state",
        "out_of_service", "resources_running", "problems",
    },
    "bundles": {
        "id", "engine", "image", "unique", "primitive", "primitive_agent", "enabled", "managed",
        "maintenance", "failed", "state", "conditions", "replicas_configured", "replicas_running",
        "replicas_ready", "replicas_promoted", "replicas_promoted_ready", "expected",
        "promoted_expected", "eligible_nodes", "held_back", "promoted_max", "replicas_per_host",
        "problems", "replicas",
    },
    "bundles.replicas": {
        "index", "role", "hosts", "guest", "running", "ready", "why_not_ready", "failed", "blocked",
        "orphaned", "unmanaged", "maintenance", "pending", "components",
    },
    "bundles.replicas.components": {"kind"} | RESOURCE,
    "resources": {"group", "clone", "expected", "held_back", "down"} | RESOURCE,
    "clones": {
        "clone", "resource", "instances", "expected", "running", "promoted", "missing",
        "eligible_nodes", "nodes_lacking", "disabled", "held_back",
    },
    "history": {
        "resource", "node", "bundle", "replica", "fail_count", "migration_threshold",
        "last_failure",
    },
    "failed_actions": {
        "resource", "node", "bundle", "replica", "operation", "status", "rc", "reason",
        "last_change",
    },
    "fencing": {"target", "action", "status", "completed", "origin", "reason"},
    "bans": {"constraint", "resource", "node", "score", "promoted_only", "by_command"},
    "tickets": {"id", "granted", "standby"},
    "corosync": {
        "state", "cluster_name", "transport", "local_id", "quorate", "votes_expected",
        "votes_expected_highest", "votes_present", "votes_needed", "quorum_options",
        "qdevice_configured", "qdevice_votes", "nodes", "members", "links", "rings", "last_pause",
    },
    "corosync.nodes": {"id", "name", "addresses", "member"},
    "corosync.nodes.addresses": {"0"},
    "corosync.members": {
        "id", "name", "votes", "qdevice_registered", "qdevice_alive", "qdevice_voting",
    },
    "corosync.links": {"peer", "link", "connected", "latency_average_seconds"},
    "corosync.rings": {"ring", "faulty"},
    "corosync.last_pause": {"seconds", "at"},
    "sbd": {"devices", "running"},
    "problems": {
        "kind", "severity", "subjects", "cause", "sentence", "texts", "commands",
    },
    "problems.subjects": {"type", "name"},
    "problems.cause": {"kind", "subjects"},
    "problems.cause.subjects": {"type", "name"},
}  # fmt: skip


def keys(value: object, path: str, found: dict[str, set[str]]) -> dict[str, set[str]]:
    """The keys of every object of a document, by its path."""
    if isinstance(value, Mapping):
        found.setdefault(path, set()).update(value)
        for name, inner in value.items():
            keys(inner, f"{path}.{name}".lstrip("."), found)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            keys(inner, path, found)
    return found


# A resource that depends on itself: so one problem has a cause.
CONFIGURATION = Configuration(
    "c",
    resources={
        ODD: ConfiguredResource(ODD, ResourceKind.PRIMITIVE, target_role="stopped"),
        "c": ConfiguredResource("c", ResourceKind.CLONE, children=(ODD,)),
    },
    dependencies=(Dependency("d", ODD, (ODD,)),),
)


COROSYNC = Corosync(
    CorosyncState.ANSWERED,
    CorosyncSettings(nodes=(ConfiguredNode(1, ODD, ((0, ODD),)),)),
    Quorum(True, 1, 1, 1, 1, 1, members=(Member(1, 1),)),
    (Link(2, 0, connected=True),),
    (Ring(0, faulty=True),),
    CorosyncCounters(pause=Pause(1.0, 0.0)),
)


def test_json_has_the_keys_that_scripts_rely_on() -> None:
    seen = odd()
    read = replace(CONFIGURATION, preferences=seen.bans)
    facts: Mapping[type, object] = {Sbd: Sbd((ODD,), running=True)}
    told = document(judge(Observation(seen, read, taken=0.0, corosync=COROSYNC, facts=facts)))
    # The addresses are by number of the link, which is a text in JSON.
    assert keys(json.loads(json.dumps(told)), "", {}) == KEYS
    assert told["taken_at"] == "1970-01-01T00:00:00Z"
    assert told["history"][0]["last_failure"] == "1970-01-01T00:00:00Z"
    assert told["failed_actions"][0]["last_change"] == "1970-01-01T00:00:00Z"
    assert told["fencing"][0]["completed"] == "1970-01-01T00:00:00Z"


def test_unknown_values_are_null_in_json() -> None:
    snapshot = replace(odd(), fencing=None)
    told = document(judge(Observation(snapshot, origin=Origin.FILE)))
    assert (told["taken_at"], told["fencing"]) == (None, None)
    assert told["bans"], "those of the saved answer"
    without = document(judge(Observation(replace(snapshot, bans=()), origin=Origin.FILE)))
    assert without["bans"] is None
    assert told["cluster"]["name"] is None
    assert told["bundles"][0]["promoted_max"] is None
    assert told["bundles"][0]["replicas_per_host"] is None


@pytest.mark.real
def test_json_says_what_is_expected_and_why(tmp_path: Path) -> None:
    told = document(judge(observed("node-standby", tmp_path)))
    galera = told["bundles"][0]
    assert (galera["state"], galera["expected"], galera["held_back"]) == ("reduced", 2, None)
    assert galera["conditions"] == ["nodes_out_of_service"]
    assert [node["name"] for node in told["nodes"] if node["out_of_service"]] == ["controller-2"]
    told = document(judge(observed("clones", tmp_path)))
    missing = {clone["resource"]: clone["nodes_lacking"] for clone in told["clones"]}
    assert missing["mount"] == ("controller-2",)
    assert {found["id"] for found in told["resources"] if found["down"]} == {"log"}


@pytest.mark.real
def test_json_of_a_state_has_the_same_facts(tmp_path: Path) -> None:
    told = json.loads(json.dumps(document(judge(observed("node-unclean", tmp_path)))))
    galera = told["bundles"][0]
    assert (galera["replicas_configured"], galera["replicas_promoted"]) == (3, 3)
    assert (galera["replicas_ready"], galera["promoted_max"]) == (2, 3)
    lost = galera["replicas"][2]
    assert (lost["ready"], lost["hosts"]) == (False, ["controller-2"])
    assert lost["why_not_ready"] == ["host controller-2 is unclean"]
    assert [component["kind"] for component in lost["components"]] == [
        "container",
        "connection",
        "service",
    ]
    assert [node["resources_running"] for node in told["nodes"][:3]] == [9, 9, 8]
    assert told["trusted"] is True
    assert (galera["state"], galera["expected"], galera["promoted_expected"]) == ("degraded", 3, 3)
    assert galera["eligible_nodes"] == ["controller-0", "controller-1", "controller-2"]
    assert galera["problems"][:2] == ["is degraded", "2 of 3 expected replicas are ready"]
    degraded, unclean, *_ = told["problems"]
    names = ["galera-bundle", "redis-bundle", "rabbitmq-bundle", "haproxy-bundle"]
    node = {"type": "node", "name": "controller-2"}
    assert (degraded["kind"], degraded["severity"]) == ("bundle_degraded", "critical")
    assert degraded["subjects"] == [{"type": "bundle", "name": name} for name in names]
    assert degraded["cause"] == {"kind": "node_unclean", "subjects": [node]}
    assert (unclean["kind"], unclean["subjects"], unclean["cause"]) == (
        "node_unclean",
        [node],
        None,
    )
    assert unclean["sentence"] == "node controller-2 is unclean"
    assert unclean["commands"] == [
        "pcs stonith history show controller-2",
        "pcs status --full",
    ]
    by_name = {found["name"]: found for found in told["nodes"]}
    assert by_name["controller-2"]["problems"][0] == "is unclean"
    assert (by_name["controller-2"]["state"], by_name["controller-0"]["state"]) == (
        "unclean",
        "online",
    )


# ---- The configuration of a bundle, and its secrets ----

MARK = "s3cr3tMARK"
SECRETIVE = f"""<cib><configuration><resources><bundle id="b">
<podman image="i" replicas="3" masters="1" network="host"
 run-command="/bin/start --password={MARK} --api-token '{MARK} {MARK}' --verbose"
 options="--env MYSQL_ROOT_PASSWORD={MARK},{MARK} -e FOO_TOKEN={MARK} --user=root -v /a:/b:ro
 -e 'QUOTED_SECRET=a {MARK}' -e ERLANG_COOKIE=&quot;a {MARK}&quot; -eAPI_KEY={MARK}
 --env=URL=http://user:{MARK}@host/ -e CONF='{{&quot;password&quot;: &quot;{MARK}&quot;}}'
 -e HEADER='Authorization: Basic {MARK}' --log-driver=k8s-file"/>
<network control-port="3123" ip-range-start="192.0.2.1" host-interface="eth0" host-netmask="24"
 add-host="true"><port-mapping id="p" port="80" internal-port="8080"/></network>
<storage><storage-mapping id="s" source-dir="/a" target-dir="/b" options="rw,key={MARK}"/>
<storage-mapping id="t" source-dir-root="/c" target-dir="/d"/></storage>
<primitive id="redis" class="ocf" provider="heartbeat" type="redis">
<instance_attributes id="x"><nvpair name="Password" value="{MARK}"/>
<nvpair name="wait" value="true"/>
<nvpair name="additional_parameters" value="--wsrep_sst_auth=u:{MARK} --port=1"/>
</instance_attributes><instance_attributes id-ref="shared"/>
<meta_attributes id="m"><nvpair name="notify" value="true"/></meta_attributes>
<operations><op id="o" name="monitor" interval="10s" timeout="60s" on-fail="restart" role="Master">
<instance_attributes id="oi"><nvpair name="check_passwd" value="{MARK}"/></instance_attributes></op>
</operations></primitive>
<meta_attributes id="bm"><nvpair name="target-role" value="Started"/>
<nvpair name="vault_credentials" value="{MARK}"/></meta_attributes></bundle>
<primitive id="fence" class="stonith" type="fence_x"><instance_attributes id="shared">
<nvpair name="passwd" value="{MARK}"/></instance_attributes></primitive>
</resources></configuration></cib>""".encode()


def details_text(*, secrets: bool) -> str:
    details = cib.parse_bundle(SECRETIVE, "b")
    details = details if secrets else without_secrets(details)
    return show.text_of(show.details_page(details), Console(width=100, color_system=None))


def test_configuration_of_a_bundle_is_shown_without_its_secrets(
    golden: Callable[[str, str], None],
) -> None:
    text = details_text(secrets=False)
    golden("show/config.txt", text)
    assert MARK not in text
    assert details_text(secrets=True).count(MARK) == SECRETIVE.decode().count(MARK)


def test_secrets_are_hidden_in_json_too() -> None:
    hidden = details_document(without_secrets(cib.parse_bundle(SECRETIVE, "b")))
    assert MARK not in json.dumps(hidden)
    assert hidden["primitive"]["instance_attributes"] == {
        "Password": HIDDEN,
        "wait": "true",
        "additional_parameters": f"--wsrep_sst_auth={HIDDEN} --port=1",
        "passwd": HIDDEN,
    }
    assert hidden["network"]["control-port"] == "3123"
    assert hidden["port_mappings"] == [{"id": "p", "port": "80", "internal-port": "8080"}]
    told = details_document(cib.parse_bundle(SECRETIVE, "b"))
    assert json.dumps(told).count(MARK) == SECRETIVE.decode().count(MARK)
    assert keys(told, "", {}).keys() == keys(hidden, "", {}).keys()


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("options", "--env MYSQL_ROOT_PASSWORD=x -e FOO_TOKEN=y --user=root -v /a:/b",
         f"--env MYSQL_ROOT_PASSWORD={HIDDEN} -e FOO_TOKEN={HIDDEN} --user=root -v /a:/b"),
        ("options", "-e 'A_SECRET=x y' --rm", f"-e 'A_SECRET={HIDDEN}' --rm"),
        ("options", "-e A_SECRET='x y' --rm", f"-e A_SECRET={HIDDEN} --rm"),
        ("options", "-e A_SECRET=x\\ y --rm", f"-e A_SECRET={HIDDEN} --rm"),
        ("options", "-e 'A_SECRET=x y", f"-e 'A_SECRET={HIDDEN}"),
        ("options", """-e C='{"password": "x"}'""", f"-e C={HIDDEN}"),
        ("options", "--password x --rm", f"--password {HIDDEN} --rm"),
        ("options", "--password --rm", "--password --rm"),
        ("options", "--env=DB=mysql+pymysql://nova:x@db/nova?ssl_key=/x.pem",
         f"--env=DB={HIDDEN}"),
        ("options", "-e RABBIT=rabbit://u:x/y@c0:5672/?auth=plain", f"-e RABBIT={HIDDEN}"),
        ("options", "-e ARGS='-setcookie x' --rm", f"-e ARGS={HIDDEN} --rm"),
        ("run-command", 'bash -c "mysql --password x"', f"bash -c {HIDDEN}"),
        ("options", '"--password" x', f'"--password" {HIDDEN}'),
        ("options", "requirepass x", f"requirepass {HIDDEN}"),
        ("options", "DB_PASSWORD = x", f"DB_PASSWORD = {HIDDEN}"),
        ("options", "DB_PASSWORD= x", f"DB_PASSWORD= {HIDDEN}"),
        ("options", '"DB_PASSWORD"=x', f'"DB_PASSWORD"={HIDDEN}'),
        ("options", 'DB_"PASSWORD"=x', f'DB_"PASSWORD"={HIDDEN}'),
        ("options", "DB_PASSWORD:x", f"DB_PASSWORD:{HIDDEN}"),
        ("options", "A=$(cat /x)", f"A={HIDDEN} {HIDDEN}"),
        ("options", "--env=KOLLA_CONFIG_STRATEGY=COPY_ALWAYS", None),
        ("config", '{"password": "a", "x":"s"}', f"{HIDDEN} {HIDDEN} {HIDDEN}"),
        ("config", '{ "user": "a", "password" : "s", "b": "c" }',
         f'{HIDDEN} "user": "a", "password" : {HIDDEN} "b": "c" {HIDDEN}'),
        ("config", "password: s", f"password: {HIDDEN}"),
        ("config", "user: a\npassword:\n  s", f"user: a\npassword:\n  {HIDDEN}"),
        ("config", "<password>x</password>", HIDDEN),
        ("wsrep_cluster_address", "gcomm://controller-0,controller-1", None),
        ("PGPASSFILE", "x", HIDDEN),
        ("DB_PSWD", "x", HIDDEN),
        ("FERNET", "x", HIDDEN),
        ("keyFile", "x", HIDDEN),
        ("options", "-v /etc/keys:/etc/keys:ro --privileged", None),
        ("options", "--pids-limit=-1 --keepalive=3", None),
        ("run-command", "/bin/bash /usr/local/bin/kolla_start", None),
        ("options", " --rm  --init ", None),
        ("options", "-v /etc/password:/p nginx", None),
        ("options", '"DB_PASSWORD":x', f"DB_PASSWORD:{HIDDEN}"),
        ("options", "-e A_SECRET='' --rm", None),
        ("target-role", "Stopped", None),
        ("ordered", "true", None),
        ("source-dir", "/var/lib/secrets", None),
        ("password", "x", HIDDEN),
        ("admin_PASSWD", "x", HIDDEN),
        ("api_key", "x", HIDDEN),
        ("apikey", "x", HIDDEN),
        ("key", "x", HIDDEN),
        ("erlang_cookie", "x", HIDDEN),
        ("masterauth", "x", HIDDEN),
        ("db-credential", "x", HIDDEN),
        ("pwd", "x", HIDDEN),
        ("keystone_region", "x", None),
        ("password", "", ""),
    ],
)  # fmt: skip
def test_only_values_that_look_secret_are_masked(name: str, value: str, shown: str | None) -> None:
    assert _masked(((name, value),)) == ((name, value if shown is None else shown),)


def test_unknown_bundle_is_refused_with_the_names_of_the_others() -> None:
    with pytest.raises(UnknownBundleError, match="no bundle x: the CIB has b"):
        cib.parse_bundle(SECRETIVE, "x")
    with pytest.raises(UnknownBundleError, match="the CIB has no bundles"):
        cib.parse_bundle(b"<cib><configuration/></cib>", "x")


def test_bundle_with_an_unknown_engine_or_a_template_is_shown() -> None:
    data = b"""<cib><configuration><resources><bundle id="b"><crio image="i"/>
    <primitive id="p" template="t"/></bundle></resources></configuration></cib>"""
    details = cib.parse_bundle(data, "b")
    assert (details.engine, details.container) == ("unknown", ())
    text = show.text_of(show.details_page(details), Console(width=100, color_system=None))
    assert text == "b (unknown)\n\nPrimitive p (of a template)\n"


@pytest.fixture
def secretive(tmp_path: Path) -> Path:
    """A whole CIB for the real commands, with secrets in every place that can have one."""
    root = STATES["node-unclean"].cluster.cib(NOW)
    bundle = root.find(".//bundle")
    assert bundle is not None
    for element in bundle.iter("podman"):
        element.set("options", f"--env DB_PASSWORD={MARK} --user=root")
        element.set("run-command", f"/bin/start --token={MARK}")
    for element in root.iter("storage-mapping"):
        element.set("options", f"secret={MARK}")
    for number, parent in enumerate([*root.iter("primitive"), *root.iter("op")]):
        pairs = ET.Element("instance_attributes", {"id": f"mark-{number}"})
        pair = {"id": f"mark-{number}-pair", "name": "password", "value": MARK}
        ET.SubElement(pairs, "nvpair", pair)
        parent.insert(0, pairs)
    properties = root.find(".//cluster_property_set")
    assert properties is not None
    pair = {"id": "mark-property", "name": "secret-token", "value": MARK}
    ET.SubElement(properties, "nvpair", pair)
    path = tmp_path / "cib.xml"
    path.write_text(ET.tostring(root, encoding="unicode"), encoding="utf-8")
    return path


@pytest.mark.real
def test_secrets_appear_nowhere_without_the_secrets_flag(secretive: Path, tmp_path: Path) -> None:
    see.need("crm_mon")
    environment = {"CIB_file": str(secretive), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    config = ("--config", "galera-bundle")
    for arguments in ((), ("--json",), config, (*config, "--json")):
        shown = run(*arguments, **environment)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "galera-bundle" in shown.stdout
        assert MARK not in shown.stdout
        assert (HIDDEN in shown.stdout) is ("--config" in arguments)
    for arguments in (config, (*config, "--json")):
        assert run(*arguments, "--secrets", **environment).stdout.count(MARK) >= 5
    with programs.exporter(tmp_path, **environment) as base:
        for path in ("/metrics", "/"):
            page = programs.get(f"{base}{path}").decode()
            assert "galera-bundle" in page or path == "/"
            assert MARK not in page
    assert MARK not in (tmp_path / "exporter.log").read_text(encoding="utf-8")


# ---- Asking ----


class Answers:
    """Answers each command with the given bytes or failure."""

    def __init__(self, **answers: bytes | Failure | Exception | int) -> None:
        """Args: by command; a number is an exit status."""
        self._answers = answers
        self.timeouts: dict[str, float] = {}

    def run(self, argv: Sequence[str], timeout: float) -> Completed | Failure:
        if argv[0].startswith("corosync-"):
            return Failure(Outcome.NOT_FOUND, "no corosync")
        self.timeouts[argv[0]] = timeout
        answer = self._answers[argv[0]]
        if isinstance(answer, Failure):
            return answer
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return Completed(tuple(argv), answer, b"", "went wrong\n")
        return Completed(tuple(argv), 0, answer, "")


HEALTHY = see.captured("live-2.1.5/01-healthy.xml")


def never(_: float) -> bool:
    raise AssertionError("nothing waits without --watch")


def ask(commands: Answers, *arguments: str) -> int:
    return show.run(Tools(commands), FrozenClock(), parse_show(list(arguments)), never)


def test_failed_crm_mon_is_reported_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    error = Failure(Outcome.TIMEOUT, "crm_mon gave no answer\u009b within 30 s")
    assert ask(Answers(crm_mon=error)) == 1
    assert capfd.readouterr() == (
        "",
        "pacemaker-bundle-exporter show: crm_mon gave no answer\\x9b within 30 s\n",
    )
    assert ask(Answers(crm_mon=b"<crm_mon/>"), "--json") == 1
    assert capfd.readouterr().err.count("\n") == 1


def test_stop_signal_ends_show_silently(capfd: pytest.CaptureFixture[str]) -> None:
    assert ask(Answers(crm_mon=Stopped())) == 1
    assert capfd.readouterr() == ("", "")


def test_cluster_is_shown_without_cibadmin_and_crm_node(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert ask(Answers(crm_mon=HEALTHY, cibadmin=102, crm_node=1)) == 0
    out, err = capfd.readouterr()
    assert "galera-bundle    3/3 ready" in out
    assert "(promoted-max unknown)" in out
    assert err == (
        "pacemaker-bundle-exporter show: cibadmin failed (exit status 102): went wrong\n"
    )
    error = Failure(Outcome.NOT_FOUND, "no crm_node")
    assert ask(Answers(crm_mon=HEALTHY, cibadmin=102, crm_node=error), "--json") == 0
    assert json.loads(capfd.readouterr().out)["local_node"] == ""


def test_each_command_has_its_own_timeout() -> None:
    commands = Answers(crm_mon=HEALTHY, cibadmin=102, crm_node=b"n\n")
    ask(commands, "--poll.timeout=20s")
    assert commands.timeouts == {
        "crm_mon": pytest.approx(20, abs=1),
        "cibadmin": 10,
        "crm_node": 10,
    }


def test_showing_a_configuration_runs_only_cibadmin(capfd: pytest.CaptureFixture[str]) -> None:
    assert ask(Answers(cibadmin=SECRETIVE), "--config=b") == 0
    assert capfd.readouterr().out.startswith("b (podman)\n")
    assert ask(Answers(cibadmin=SECRETIVE), "--config=other") == 1
    assert capfd.readouterr().err == (
        "pacemaker-bundle-exporter show: no bundle other: the CIB has b\n"
    )
    assert ask(Answers(cibadmin=4), "--config=b") == 1
    assert "cibadmin failed" in capfd.readouterr().err


# ---- The program ----


def test_program_shows_the_demonstration() -> None:
    shown = run("--demo")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("DEMONSTRATION: this is not a real cluster\nCluster demo,")
    assert "openstack-cinder-volume" in shown.stdout, "at any time of the story"
    assert json.loads(run("--demo", "--json").stdout)["source"] == "demo"
    assert run("--demo", "--config=redis-bundle").stdout.startswith("redis-bundle (podman)\n")
    cloud = run("--demo=cloud").stdout
    assert "\nCluster demo-cloud," in cloud
    assert "\n304 fencing devices: 304 started (--all lists them)\n" in cloud


def test_program_reads_saved_output_from_a_file_or_a_pipe() -> None:
    shown = run("--from-file", CAPTURE)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "replica 2: host controller-2 is unclean" in shown.stdout
    with Path(CAPTURE).open("rb") as saved:
        piped = subprocess.run(
            [*PROGRAM, "show", "--from-file=-"],
            stdin=saved,
            capture_output=True,
            check=False,
            # Without the COLUMNS that readline has set for child processes.
            env=dict(os.environ),
        )
    assert piped.stdout.decode() == shown.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--from-file=/no/such"], 1, "cannot read /no/such: No such file or directory"),
        (["--crm_mon.path=/no/such"], 1, "/no/such cannot be started"),
        (["--from-file", str(see.CAPTURES / "live-2.1.5" / "14a-based-frozen.xml")], 1, "CIB"),
        (["--demo", "--config=x"], 1, "no bundle x: the CIB has galera-bundle, "),
        (["--nope"], 2, "unknown argument '--nope'"),
        (["--secrets"], 2, "--secrets needs --config"),
    ],
)
def test_each_error_is_reported_in_one_line(arguments: list[str], status: int, words: str) -> None:
    ended = run(*arguments)
    assert (ended.returncode, ended.stdout) == (status, "")
    (line,) = ended.stderr.splitlines()
    assert words in line


def test_closed_pipe_is_not_an_error() -> None:
    script = f"{sys.executable} -m exporter show --demo | true"
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script], capture_output=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_names_that_the_terminal_cannot_show_are_escaped(tmp_path: Path) -> None:
    saved = tmp_path / "saved.xml"
    saved.write_text(Path(CAPTURE).read_text().replace("controller-2", "h\u00f4te"), "utf-8")
    shown = run("--from-file", str(saved), PYTHONIOENCODING="ascii")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "node h\\xf4te" in shown.stdout


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What the program prints to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    clean = {k: v for k, v in os.environ.items() if k not in {"FORCE_COLOR", "NO_COLOR"}}
    settings = {**clean, "TERM": "xterm", "COLUMNS": "80", **environment}
    with subprocess.Popen(
        [*PROGRAM, "show", *arguments], stdout=theirs, stdin=theirs, env=settings
    ) as process:
        os.close(theirs)
        printed = b""
        with suppress(OSError):  # EIO: the other end is closed
            while chunk := os.read(ours, 65536):
                printed += chunk
    os.close(ours)
    assert process.returncode == 0
    return printed.decode().replace("\r\n", "\n")


def test_terminal_gets_colour_unless_no_color_is_set() -> None:
    coloured = on_a_terminal("--from-file", CAPTURE)
    assert "\x1b[1;31moffline, unclean" in coloured
    lines = ANSI.sub("", coloured).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    without = on_a_terminal("--from-file", CAPTURE, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", without)
    assert [line.rstrip() for line in ANSI.sub("", without).splitlines()] == [
        line.rstrip() for line in lines
    ]


def test_signal_ends_show_while_crm_mon_hangs(tmp_path: Path) -> None:
    hangs = tmp_path / "crm_mon"
    hangs.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexec sleep 60\n", encoding="utf-8")
    hangs.chmod(0o755)
    with subprocess.Popen(
        [*PROGRAM, "show", f"--crm_mon.path={hangs}"], stdout=-1, stderr=-1
    ) as process:
        programs.eventually((tmp_path / "started").exists)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == (b"", b"")
        assert time.monotonic() - began < 5
    assert process.returncode == 1


def test_exporter_never_imports_what_only_show_needs(tmp_path: Path) -> None:
    def imported(told: str) -> set[str]:
        names = re.findall(r"^import time:.*\| +(\S+)$", told, re.MULTILINE)
        return {name.partition(".")[0] for name in names}

    log = tmp_path / "log"
    traced = [sys.executable, "-X", "importtime", "-m", "exporter", "--demo"]

    def address() -> str:
        found = re.search(r"msg=listening address=(\S+)", log.read_text(encoding="utf-8"))
        return found.group(1) if found else ""

    with programs.running([*traced, "--web.listen-address=127.0.0.1:0"], log):
        base = f"http://{programs.eventually(address)}"
        programs.eventually(lambda: programs.get(f"{base}/-/ready"))
        assert b"galera-bundle" in programs.get(f"{base}/metrics")
    daemon = imported(log.read_text(encoding="utf-8"))
    assert "prometheus_client" in daemon
    assert not daemon & {"rich", "pygments", "markdown_it"}
    assert "rich" in imported(run("--demo", PYTHONPROFILEIMPORTTIME="1").stderr)
