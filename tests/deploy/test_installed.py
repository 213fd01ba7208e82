"""The Debian package on a clean machine, with a real systemd and a real Pacemaker of one node."""

import json
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.harness import see
from tests.support.harness.certificates import Pki, serve
from tests.support.harness.machine import UNIT, Machine, booted, clean_root, package
from tests.support.harness.programs import eventually
from tests.support.oracle.packaged import links, shared
from tests.support.paths import ROOT

pytestmark = pytest.mark.package

NAME = "pacemaker-bundle-exporter"
SUCCESSES = 'pacemaker_exporter_source_reads_total{source="status",outcome="success"}'
HALF_A_SECOND = "--poll.interval=500ms"
POLLS_OF_AN_HOUR = 60 * 6
ANSIBLE = ROOT / "deploy" / "ansible"
COROSYNC = f"{NAME}-corosync"
"""Name of the units that read corosync for the exporter."""


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with clean_root(package()) as found:
        yield found


@pytest.fixture(scope="module")
def machine(root: Path) -> Iterator[Machine]:
    with booted(root) as found:
        found.wait_until("pacemaker_view_dc", 1, 120)
        yield found


def _files(*directories: Path) -> set[Path]:
    return {
        path.relative_to(ROOT)
        for directory in directories
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _to_install() -> set[Path]:
    """Return the files that are installed beside the program, such as rules and runbooks."""
    found = _files(*shared())
    assert len(found) > 90
    return found


def test_wheel_has_every_file() -> None:
    (wheel,) = package().parent.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = {name.partition(".data/data/share/")[2] for name in opened.namelist()}
    assert {f"{NAME}/{path}" for path in _to_install()} == {
        name for name in names if name.startswith(f"{NAME}/")
    }
    assert {f"man/man1/{NAME}.1", f"bash-completion/completions/{NAME}"} <= names
    assert {f"zsh/site-functions/_{NAME}", f"fish/vendor_completions.d/{NAME}.fish"} <= names


def test_sdist_has_every_file() -> None:
    (sdist,) = package().parent.glob("pacemaker_bundle_exporter-*.tar.gz")
    with tarfile.open(sdist) as opened:
        names = {Path(*Path(name).parts[1:]) for name in opened.getnames()}
    more = ("exporter/REVISION", "tests/deploy/test_installed.py", "SECURITY.md", "constraints.txt")
    assert _files(ROOT / "deploy", ROOT / "grafana") | {Path(name) for name in more} <= names


def test_debian_package_has_every_file(root: Path) -> None:
    share = root / "usr" / "share" / NAME
    found = {path.relative_to(share) for path in share.rglob("*") if path.is_file()}
    assert found == _to_install()


def test_links_in_the_documents_of_the_debian_package_resolve(root: Path) -> None:
    documents = sorted((root / "usr" / "share" / "doc" / NAME).rglob("*.md"))
    assert "README.md" in {path.name for path in documents}
    for document in documents:
        for link in links(document):
            assert link.exists(), link


def test_lintian_reports_no_problem() -> None:
    found = subprocess.run(
        [see.need("lintian"), "--allow-root", "--fail-on=error,warning", str(package())],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert found.returncode == 0, found.stdout


def test_program_runs_with_the_dependencies_of_the_package(root: Path) -> None:
    page = see.series((root / "root" / "demo.prom").read_text(encoding="utf-8"))
    assert page["pacemaker_up"] == 1
    assert page['pacemaker_bundle_replicas{bundle="galera-bundle"}'] == 3


def test_installed_program_reads_a_cib_through_the_real_crm_mon(root: Path) -> None:
    cib = ROOT / "exporter" / "pacemaker" / "demo" / "bundles" / "cib.xml"
    (root / "root" / "cib.xml").write_bytes(cib.read_bytes())
    found = subprocess.run(
        ["chroot", str(root), "env", "CIB_file=/root/cib.xml", NAME, "--once"],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stderr
    assert see.series(found.stdout)['pacemaker_bundle_replicas{bundle="galera-bundle"}'] == 3


def test_service_runs_and_sees_the_cluster(machine: Machine) -> None:
    assert machine.property("ActiveState") == "active"
    assert machine.output("systemctl", "is-enabled", UNIT) == "enabled\n"
    page = see.series(machine.get("/metrics"))
    assert page["pacemaker_view_trusted"] == 1
    assert page["pacemaker_view_dc"] == 1  # crm_node answers, too
    assert (
        page['pacemaker_exporter_source_reads_total{source="configuration",outcome="success"}'] >= 1
    )
    assert page["process_start_time_seconds"] > 1e9
    (info,) = (name for name in page if name.startswith("pacemaker_exporter_build_info"))
    assert 'revision=""' not in info


def test_systemd_verifies_the_unit(machine: Machine) -> None:
    found = machine.run("systemd-analyze", "verify", "--man=no", f"/lib/systemd/system/{UNIT}")
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
    argv = ("systemd-analyze", "security", "--threshold=20", "--no-pager", UNIT)
    assert machine.run(*argv).returncode == 0
    instance = f"{COROSYNC}@1.service"
    found = machine.run("systemd-analyze", "verify", "--man=no", f"{COROSYNC}.socket", instance)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_service_survives_a_crm_mon_killed_by_the_kernel(machine: Machine) -> None:
    """test_scarcity.py has a real kill by the kernel: no cgroup here can limit memory."""
    assert machine.property("OOMPolicy") == "continue"


def test_service_listens_on_one_port(machine: Machine) -> None:
    tables = machine.output("cat", "/proc/net/tcp", "/proc/net/tcp6")
    pid = machine.property("MainPID")
    mine = set(
        machine.output("sh", "-c", f"ls -l /proc/{pid}/fd | sed -n 's/.*socket:.//p'").split()
    )
    rows = [line.split() for line in tables.splitlines() if " 0A " in line]
    assert [int(row[1].rpartition(":")[2], 16) for row in rows if f"{row[9]}]" in mine] == [19664]


@pytest.mark.parametrize(
    ("loosened", "outcome"),
    [
        # As in strict.conf.
        ("PrivateUsers=yes\nGroup=pacemaker-exporter\nSupplementaryGroups=haclient", "incomplete"),
        ("PrivateNetwork=yes", ""),
        ("Group=\nSupplementaryGroups=\nUser=nobody", "permission_denied"),
    ],
)
def test_each_permission_that_the_unit_grants_is_needed(
    machine: Machine, loosened: str, outcome: str
) -> None:
    with machine.drop_in(loosened):
        if outcome:
            machine.wait_until(
                f'pacemaker_exporter_source_reads_total{{source="status",outcome="{outcome}"}}', 1
            )
            assert machine.value("pacemaker_up") == 0
        else:
            with pytest.raises(OSError, match="Failed to connect"):
                machine.get("/metrics")
    machine.wait_until("pacemaker_up", 1)


def _id(machine: Machine, database: str, name: str) -> int:
    return int(machine.output("getent", database, name).split(":")[2])


def _groups_of_the_service(machine: Machine) -> tuple[set[int], set[int]]:
    """Return its real, effective, saved and file group, and all its groups."""
    status = machine.output("cat", f"/proc/{machine.property('MainPID')}/status")
    gid, groups = (
        {int(word) for word in line.split()[1:]}
        for line in status.splitlines()
        if line.startswith(("Gid:", "Groups:"))
    )
    return gid, groups


@pytest.fixture
def key(machine: Machine) -> Iterator[str]:
    """The key of a certificate, which only root and the exporter's own group may read."""
    path = "/etc/test.key"
    owner = ("-o", "root", "-g", "pacemaker-exporter")
    machine.output("install", "-m", "640", *owner, "/dev/null", path)
    yield path
    machine.output("rm", path)


def test_service_may_ask_corosync_and_read_its_key(machine: Machine, key: str) -> None:
    haclient = _id(machine, "group", "haclient")
    own = _id(machine, "group", "pacemaker-exporter")
    assert _groups_of_the_service(machine) == ({haclient}, {haclient, own})
    with machine.drop_in(f"ExecStartPre=corosync-quorumtool -i -p -s\nExecStartPre=cat {key}"):
        machine.wait_until("pacemaker_up", 1)
        assert "Quorate:          Yes" in machine.journal()


def test_stopped_service_keeps_the_shared_memory_of_pacemaker(machine: Machine) -> None:
    """With RemoveIPC=yes systemd deletes it, as it belongs to the service's group."""
    path = "/dev/shm/qb-test"
    owner = ("-o", "hacluster", "-g", "haclient")
    machine.output("install", "-m", "660", *owner, "/dev/null", path)
    # It also kept the buffers between the daemons.
    assert machine.output("find", "/dev/shm", "-name", "qb-request-*", "-group", "haclient")
    machine.output("systemctl", "stop", UNIT)
    try:
        machine.output("rm", path)
        assert machine.output("find", "/dev/shm", "-name", "qb-request-*", "-group", "haclient")
    finally:
        machine.output("systemctl", "start", UNIT)
    machine.wait_until("pacemaker_up", 1)


@pytest.fixture
def strict(machine: Machine) -> Iterator[str]:
    """Set up the strict way as SECURITY.md says; yield the path of the socket."""
    for command in _commands_of_the_security_notes("strict"):
        machine.output("sh", "-c", command)
    machine.output("systemctl", "restart", UNIT)
    yield f"/run/{NAME}/corosync.sock"
    machine.output("systemctl", "disable", "--now", f"{COROSYNC}.socket")
    machine.output("rm", "-r", f"/etc/systemd/system/{UNIT}.d")
    machine.output("systemctl", "daemon-reload")
    machine.output("systemctl", "restart", UNIT)


def _as(machine: Machine, user: str, group: str, *argv: str) -> subprocess.CompletedProcess[str]:
    ids = (f"--reuid={user}", f"--regid={group}", "--init-groups", "--no-new-privs")
    return machine.run("setpriv", *ids, *argv)


READ_ALL = """
import sys, threading
from exporter.corosync.reader import COMMANDS, ReaderCommands
reader = ReaderCommands(sys.argv[1], threading.Event())
for program, arguments in COMMANDS.values():
    print(reader.run((program, *arguments), 9.0))
"""
SEND = """
import contextlib, socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    connection.sendall(sys.argv[2].encode() + b"\\n")
    connection.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(1 << 16):
            print(chunk.decode(), end="")
"""


def _python(machine: Machine, user: str, group: str, code: str, *arguments: str) -> list[str]:
    """Run code with the installed exporter's libraries."""
    found = _as(machine, user, group, f"/usr/lib/{NAME}/bin/python3.13", "-sPc", code, *arguments)
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


def test_strict_service_reads_corosync_only_through_the_socket(
    machine: Machine, strict: str, key: str
) -> None:
    haclient = _id(machine, "group", "haclient")
    own = _id(machine, "group", "pacemaker-exporter")
    assert _groups_of_the_service(machine) == ({own}, {haclient, own})
    refused = "ExecStartPre=sh -c '! corosync-quorumtool -i -p -s'"
    with machine.drop_in(f"{refused}\nExecStartPre=cat {key}"):
        machine.wait_until("pacemaker_up", 1)
        assert "Cannot initialize CMAP service" in machine.journal()

    answers = _python(machine, "pacemaker-exporter", "pacemaker-exporter", READ_ALL, strict)
    for answer, expected in zip(
        answers,
        (
            "stats.srp.operational_entered (u64) = ",
            "Quorate:          Yes",
            "runtime.members.1.status (str) = joined",
            "nodelist.node.0.nodeid (u32) = 1",
        ),
        strict=True,
    ):
        assert answer.startswith("Completed("), answer
        assert expected in answer
    assert "totem.key" not in "".join(answers)
    # The service runs several times a minute, and is not to fill the journal.
    said = machine.run("journalctl", "--output=cat", "--no-pager", f"--unit={COROSYNC}@*")
    assert said.stdout in {"", "-- No entries --\n"}


@pytest.mark.parametrize(
    ("user", "group"),
    [
        ("nobody", "nogroup"),
        ("hacluster", "haclient"),
        ("pacemaker-exporter-corosync", "haclient"),
        ("nobody", "pacemaker-exporter"),
    ],
)
def test_only_the_exporters_user_may_open_the_socket(
    machine: Machine, strict: str, user: str, group: str
) -> None:
    answers = _python(machine, user, group, READ_ALL, strict)
    assert len(answers) == 4
    for answer in answers:
        assert "Outcome.PERMISSION_DENIED" in answer


@pytest.mark.parametrize("word", ["stats; reboot", "stats $(reboot)", "nodes3", "", "-H"])
def test_reader_of_corosync_knows_no_other_words(machine: Machine, strict: str, word: str) -> None:
    answer = _python(machine, "pacemaker-exporter", "pacemaker-exporter", SEND, strict, word)
    assert answer == ["corosync-reader: not one of the words stats, quorum, nodes, nodes2"]


def test_exporter_cannot_write_into_a_connection_of_the_reader(machine: Machine) -> None:
    """Each reader ends in 0.1 s, so a longer connection with the same user and group stands in."""
    user = "pacemaker-exporter-corosync"
    machine.output(
        *("systemd-run", "--unit=reading", "--property=RemoveIPC=no", "--property=Group=haclient"),
        *(f"--property=User={user}", "sh", "-c", "sleep 600 | corosync-cmapctl -t nodelist."),
    )
    mine = ("find", "/dev/shm", "-type", "f", "-user", user)
    eventually(lambda: len(machine.run(*mine).stdout.splitlines()) >= 6)
    try:
        exporter = ("pacemaker-exporter", "pacemaker-exporter")
        for right in ("-readable", "-writable"):
            assert _as(machine, *exporter, *mine, right).stdout == ""
    finally:
        machine.output("systemctl", "stop", "reading")


def test_start_time_is_unknown_without_the_boot_time(machine: Machine) -> None:
    with machine.drop_in("ProcSubset=pid"):
        machine.wait_until("pacemaker_up", 1)
        assert machine.value("process_start_time_seconds") is None


def test_ansible_lint_reports_no_problem() -> None:
    found = subprocess.run(
        [see.need("ansible-lint"), "--offline", "--nocolor", "--strict", "--profile=production"],
        cwd=ANSIBLE,
        capture_output=True,
        check=False,
        text=True,
        timeout=180,
    )
    assert found.returncode == 0, found.stdout


def _flags(variables: Mapping[str, object]) -> str:
    """The file of flags that the role writes."""
    role = ANSIBLE / "roles" / "pacemaker_bundle_exporter"
    found = subprocess.run(
        [
            *(see.need("ansible"), "localhost", "--module-name=debug"),
            f"--args=msg={{{{ lookup('template', '{role}/templates/flags.j2') }}}}",
            f"--extra-vars=@{role}/defaults/main.yml",
            f"--extra-vars={json.dumps(variables)}",
        ],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    text: str = json.loads(found.stdout.partition("=>")[2])["msg"]
    return text


@pytest.mark.parametrize(
    ("flags", "arguments"),
    [
        ([], "--web.listen-address=:9664"),
        (["--poll.interval=7s"], "--web.listen-address=:9664 --poll.interval=7s"),
        (["--web.listen-address=127.0.0.1:9665"], "--web.listen-address=127.0.0.1:9665"),
        (["--web.listen-address", ":9665"], "--web.listen-address :9665"),
    ],
)
def test_exporter_listens_on_the_port_of_the_ansible_role(flags: list[str], arguments: str) -> None:
    variables = {
        "pacemaker_bundle_exporter_port": 9664,
        "pacemaker_bundle_exporter_flags": flags,
    }
    text = _flags(variables)
    assert text.splitlines()[1:] == [f'ARGS="{arguments}"']


def test_strict_ansible_role_lets_the_exporter_use_the_socket() -> None:
    variables = {"pacemaker_bundle_exporter_strict": True}
    assert f"--corosync.socket=/run/{NAME}/corosync.sock" in _flags(variables)


def test_rpm_has_every_file() -> None:
    (rpm,) = package().parent.glob("*.rpm")
    listed = subprocess.check_output([see.need("rpm"), "-qlp", str(rpm)], text=True).splitlines()
    assert {f"/usr/share/{NAME}/{path}" for path in _to_install()} <= set(listed)
    documents = {
        Path("/usr/share/doc") / NAME / path.relative_to(ROOT)
        for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
    }
    assert {str(path) for path in documents} <= set(listed)
    assert {f"/usr/share/doc/{NAME}/{name}" for name in ("LICENSE", "deploy", "docs")} <= set(
        listed
    )
    units = (UNIT, f"{COROSYNC}.socket", f"{COROSYNC}@.service")
    assert {f"/usr/lib/systemd/system/{unit}" for unit in units} <= set(listed)
    assert f"/usr/libexec/{NAME}/corosync-reader" in listed


def _commands_of_the_security_notes(mark: str) -> list[str]:
    """The commands below a mark, as an administrator copies them."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"<!-- {mark} -->\n```sh\n(.*?)```", text, re.DOTALL)
    return [command.replace("\\\n", "") for command in re.split(r"(?<!\\)\n", block.strip())]


def test_read_only_acl_role_suffices_and_changes_are_refused(machine: Machine) -> None:
    as_its_user = ("setpriv", "--reuid=pacemaker-exporter", "--init-groups", "--regid=haclient")
    change = (*as_its_user, "crm_attribute", "--name=no-quorum-policy", "--update")
    # Without ACLs whoever is in group haclient may change everything.
    assert machine.run(*change, "stop").returncode == 0
    for command in _commands_of_the_security_notes("acl"):
        machine.output("sh", "-c", command)
    denied = machine.run(*change, "freeze")
    assert denied.returncode != 0
    assert "Permission denied" in denied.stderr
    with machine.flags(HALF_A_SECOND):
        machine.wait_until(SUCCESSES, 3)
        page = see.series(machine.get("/metrics"))
        assert page["pacemaker_view_dc"] == 1
        assert (
            page['pacemaker_exporter_source_reads_total{source="configuration",outcome="success"}']
            >= 1
        )
        # Whom no role names may read nothing, and the exporter says so.
        machine.output("cibadmin", "--delete", "--xml-text=<acl_target id='pacemaker-exporter'/>")
        machine.wait_for_end("pacemaker_up")
        assert "level=error" in machine.journal()
    machine.output("crm_attribute", "--name=enable-acl", "--delete")
    machine.wait_until("pacemaker_up", 1)


def test_cib_is_unchanged_after_an_hour_of_polls(machine: Machine) -> None:
    before = machine.output("cibadmin", "--query")
    # Corosync has no part in it, and each poll would take several times as long.
    with machine.flags("--poll.interval=10ms --no-collector.corosync"):
        machine.wait_until(SUCCESSES, POLLS_OF_AN_HOUR, 300)
        assert machine.output("cibadmin", "--query") == before


def test_killed_or_stopped_exporter_is_restarted(machine: Machine) -> None:
    with machine.drop_in("WatchdogSec=3s\nRestartSec=100ms"):
        machine.wait_until("pacemaker_up", 1)
        for signal in ("KILL", "STOP"):
            pid = machine.property("MainPID")
            machine.output("kill", f"-{signal}", pid)
            machine.wait_until(SUCCESSES, 1)
            assert machine.property("MainPID") != pid
        assert machine.property("NRestarts") == "2"
        # What it was doing when the watchdog bit.
        assert "Current thread" in machine.journal()


def test_service_with_wrong_flags_fails_without_restarts(machine: Machine) -> None:
    with machine.flags("--poll.interval=never"):
        assert machine.property("ActiveState") == "failed"
        assert machine.property("NRestarts") == "0"
        assert "--poll.interval 'never': write a duration" in machine.journal()


def test_stopped_pacemaker_withdraws_the_data_and_recovers(machine: Machine) -> None:
    machine.output("systemctl", "stop", "pacemaker")
    machine.wait_for_end("pacemaker_up")
    assert machine.property("ActiveState") == "active"
    machine.output("systemctl", "start", "pacemaker")
    machine.wait_until("pacemaker_view_dc", 1, 120)


def test_purged_package_leaves_no_file(machine: Machine) -> None:
    machine.output("systemctl", "enable", "--now", f"{COROSYNC}.socket")
    machine.output("apt-get", "purge", "--yes", NAME)
    left = machine.output("sh", "-c", f"find / -xdev -name '*{NAME}*' ! -path '/root/*'")
    assert left.splitlines() in ([], [f"/var/lib/dpkg/info/{NAME}.list"])
    assert machine.run("systemctl", "status", UNIT).returncode == 4
    assert "pacemaker-exporter" in machine.output("cat", "/etc/passwd")


PLAIN = {"http_server_config": {"http2": False}}


def _play(
    machine: Machine, *arguments: str, web: Mapping[str, object]
) -> subprocess.CompletedProcess[str]:
    """Apply the role to the machine itself."""
    play = ("--inventory=localhost,", "--connection=local", "/root/ansible/site.yml")
    variables = {
        "pacemaker_bundle_exporter_package": "/root/exporter.deb",
        "pacemaker_bundle_exporter_flags": ["--poll.interval=7s", "--log.format=json"],
        "pacemaker_bundle_exporter_web_config": web,
        "pacemaker_bundle_exporter_acl": True,
        "pacemaker_bundle_exporter_firewall": "nftables",
        "pacemaker_bundle_exporter_scrapers": ["192.0.2.7", "2001:db8::/64"],
    }
    return machine.run(
        "ansible-playbook", *play, f"--extra-vars={json.dumps(variables)}", *arguments, timeout=300
    )


def _played(machine: Machine, *arguments: str, web: Mapping[str, object] = PLAIN) -> dict[str, int]:
    """Run the playbook on the machine; return counts of tasks by result."""
    played = _play(machine, *arguments, web=web)
    assert played.returncode == 0, played.stdout + played.stderr
    (recap,) = re.findall(r"^localhost .*$", played.stdout, re.MULTILINE)
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap)}


def _gets_tls(machine: Machine) -> None:
    """Check that the role sets up TLS, and that a mistake changes nothing."""
    serve(Pki(machine.root / "etc" / NAME))
    broken = _play(machine, web={"tls_server_config": {"cert_file": "server.crt"}})
    assert "has no key: write key_file" in broken.stdout
    assert broken.returncode != 0
    files = {"cert_file": "server.crt", "key_file": "server.key"}
    assert _played(machine, web={"tls_server_config": files})["changed"] == 2
    eventually(lambda: '"tls": "on"' in machine.journal())
    assert "stays in force" not in machine.journal()


def _reads_corosync_through_the_socket(machine: Machine) -> None:
    """Check that the role sets up the strict way; then take it back by hand, as it says."""
    strict = f"--extra-vars={json.dumps({'pacemaker_bundle_exporter_strict': True})}"
    assert _played(machine, strict)["changed"] >= 2
    machine.wait_until("corosync_up", 1)
    own = _id(machine, "group", "pacemaker-exporter")
    assert _groups_of_the_service(machine)[0] == {own}
    assert _played(machine, strict)["changed"] == 0
    machine.output("systemctl", "disable", "--now", f"{COROSYNC}.socket")
    machine.output("rm", "-r", f"/etc/systemd/system/{UNIT}.d")
    machine.output("systemctl", "daemon-reload")
    _played(machine)
    machine.wait_until("corosync_up", 1)
    assert _groups_of_the_service(machine)[0] == {_id(machine, "group", "haclient")}


def test_ansible_role_installs_changes_and_removes(machine: Machine) -> None:
    """Must run last: it installs the package again."""
    shutil.copytree(ANSIBLE, machine.root / "root" / "ansible")
    before = machine.output("cibadmin", "--query", "--scope=configuration")
    assert _played(machine, "--check")["changed"] >= 2
    assert machine.run("systemctl", "status", UNIT).returncode == 4  # there is no such unit
    assert machine.output("cibadmin", "--query", "--scope=configuration") == before

    elsewhere = {"pacemaker_bundle_exporter_flags": ["--web.listen-address=[::1]:9664"]}
    refused = _play(machine, f"--extra-vars={json.dumps(elsewhere)}", web=PLAIN)
    assert refused.returncode != 0
    assert "must use pacemaker_bundle_exporter_port" in refused.stdout

    assert _played(machine)["changed"] >= 4
    machine.wait_until("pacemaker_up", 1)
    assert machine.value("pacemaker_exporter_poll_interval_seconds") == 7
    assert _played(machine)["changed"] == 0
    machine.output("nft", "flush", "ruleset")  # as a boot does, and nftables.service
    machine.output("systemctl", "restart", UNIT)
    rules = machine.output("nft", "list", "table", "inet", "pacemaker_bundle_exporter")
    assert "ip saddr 192.0.2.7 tcp dport 19664 accept" in rules
    assert "ip6 saddr 2001:db8::/64 tcp dport 19664 accept" in rules
    assert "tcp dport 19664 drop" in rules
    machine.wait_until("pacemaker_up", 1)
    _reads_corosync_through_the_socket(machine)
    _gets_tls(machine)
    machine.output("crm_attribute", "--name=enable-acl", "--delete")
