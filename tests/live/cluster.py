"""Three nodes, each a set of namespaces with corosync, Pacemaker and podman, on this machine.

All nodes, their network and what watches them live below one process, the *site*: PID 1 of a
namespace whose death is the death of everything in it. The kernel kills the site with the thread
that started it, so that nothing is left however a test ends: no process, namespace, cable or mount.

Real: corosync, Pacemaker and its tools, podman and its containers with pacemaker-remoted in them,
IPaddr2, quorum, partitions, fencing decisions. Stand-ins: no systemd, and one kernel and clock for
all; ocf:pacemaker:Stateful and Dummy for the services, a web server of busybox for haproxy;
fence_power, which kills the PID 1 of a node, for a power switch.
"""

import contextlib
import os
import re
import secrets
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree as ET

from tests.live.network import Network
from tests.support.harness.programs import eventually

FILES = Path(__file__).parent / "node"
NAMES = ("controller-0", "controller-1", "controller-2")
STATION = "198.51.100.1"
"""This end of the network on which Prometheus reaches the nodes. The cluster has one of its own:
when a cable of that is pulled, both sides stay in sight."""
PORT = 19664
USER = "pacemaker-exporter"
"""In group haclient, which is its main group as in the systemd unit."""
MAIN_GROUPS = {USER: "haclient"}
"""Those that differ from the name of the user."""
STRANGER = "stranger"
"""Not in group haclient."""
SWITCHES = ("cluster", "second")
"""The networks of the links of corosync, by number."""
DAEMONS = ("corosync", "pacemakerd", "pacemaker-based", "pacemaker-controld")
"""Those that tests freeze."""
EXPORTER = ("/opt/exporter/bin/python", "-m", "exporter")
ENVIRONMENT = (
    "env",
    "-i",
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LC_ALL=C",
    "TZ=UTC",
)


def in_namespaces_of(pid: int, *kinds: str) -> tuple[str, ...]:
    """Return the words before a command that has it run in some namespaces of a process."""
    return ("nsenter", f"--target={pid}", *(f"--{kind}" for kind in kinds), "--")


def child_of(pid: int) -> int:
    """Return the first child of a process."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])


def ask(
    words: Sequence[str],
    timeout: float,
    **options: Any,  # noqa: ANN401 - of run
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever that is: 124 where it does not come, as of timeout."""
    try:
        return subprocess.run(
            words, capture_output=True, text=True, timeout=timeout, check=False, **options
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, "", f"killed after {timeout} s")


def is_init(pid: int) -> bool:
    """Whether a process has become what it is to be: a PID 1 that only reaps."""
    return Path(f"/proc/{pid}/cmdline").read_bytes() == b"catatonit\0-P\0"


def as_user(user: str) -> tuple[str, ...]:
    """Return the words before a command that root has a user run."""
    group = MAIN_GROUPS.get(user, user)
    return ("setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups")


class Node:
    """A machine of the cluster."""

    def __init__(self, site: "Site", number: int) -> None:
        """Args: where it stands; its number from 0 on."""
        self.name = NAMES[number]
        self.address = f"192.0.2.1{number}"
        """In the cluster's network: link 0 of corosync."""
        self.second_address = f"203.0.113.1{number}"
        """In the network of link 1."""
        self.seen = f"198.51.100.1{number}"
        """In that of Prometheus."""
        self._site = site
        self._port = f"port{number}"
        self._cables = (self._port, f"{self._port}-second")
        """The ends at the switches, by number of the link."""
        self._starter: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._button = threading.RLock()
        """The power switch and a test may both turn it on, or off."""

    def __repr__(self) -> str:
        return self.name

    # ---- power and cable

    @property
    def on(self) -> bool:
        """It has power."""
        return self._pid != 0

    def boot(self) -> None:
        """Power on; what a machine starts by itself is the exporter only."""
        with self._button:
            if not self.on:
                self._boot()

    def _boot(self) -> None:
        site = self._site
        words = (
            *in_namespaces_of(site.pid, "mount", "net", "pid"),
            *("env", f"NODE={self.name}", f"DISK={site.state}/{self.name}"),
            *(f"SHARED={site.shared}", f"IMAGES={site.images}", f"EXPORTER={site.exporter}"),
            *("unshare", "--net", "--mount", "--propagation=private", "--pid", "--ipc", "--uts"),
            *("--fork", str(FILES / "boot.sh")),
        )
        log = site.logs / f"{self.name}.boot.log"
        with log.open("wb") as output:
            self._starter = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        # nsenter and unshare fork, each to be in the new pid namespace.
        inside = eventually(lambda: child_of(child_of(self._starter.pid)))  # type: ignore[union-attr]
        eventually(partial(is_init, inside))
        self._pid = inside
        self._connect(self._port, "cluster", "eth0", self.address)
        self._connect(f"{self._port}-seen", "outside", "eth1", self.seen)
        self._connect(self._cables[1], "second", "eth2", self.second_address)
        self.start("busybox", "syslogd", "-n", "-O", "/var/log/messages")
        self.start_exporter()
        (site.shared / "power" / "nodes" / self.name).write_text("on", encoding="ascii")

    def _connect(self, port: str, bridge: str, name: str, address: str) -> None:
        """Lay a cable from a bridge to an interface here."""
        peer = ("peer", "name", name, "netns", str(self._pid))
        self._site.ip("link", "add", port, "type", "veth", *peer)
        self._site.ip("link", "set", port, "master", bridge, "up")
        self.run("ip", "address", "add", f"{address}/24", "broadcast", "+", "dev", name)
        self.run("ip", "link", "set", name, "up")

    def power_off(self) -> None:
        """Cut the power: everything on it dies at once, its end of the cable included."""
        with self._button:
            (self._site.shared / "power" / "nodes" / self.name).write_text("off", encoding="ascii")
            if self._starter is None or not self.on:
                return
            os.kill(self._pid, signal.SIGKILL)
            self._starter.wait(30)
            self._pid = 0
            # The kernel takes them with the node's network, but that may wait for packets which a
            # pulled cable keeps.
            for port in (*self._cables, f"{self._port}-seen"):
                self._site.remove(port)

    def unplug(self, *links: int) -> None:
        """Pull cables to the rest of the cluster: those of some links, or all."""
        self._set_cables(links, "down")

    def plug(self, *links: int) -> None:
        """Plug them in again."""
        self._set_cables(links, "up")

    def _set_cables(self, links: Sequence[int], state: str) -> None:
        for link in links or range(len(self._cables)):
            self._site.ip("link", "set", self._cables[link], state)

    def lose_packets_to(self, other: "Node") -> None:
        """Send what goes to another node on link 1 nowhere; what comes from there still arrives."""
        nowhere = ("lladdr", "02:00:00:00:00:01", "nud", "permanent")
        where = (other.second_address, "dev", "eth2")
        self.run("ip", "neighbour", "replace", where[0], *nowhere, *where[1:])

    def find_again(self, other: "Node") -> None:
        """Undo lose_packets_to."""
        self.run("ip", "neighbour", "delete", other.second_address, "dev", "eth2")

    # ---- programs on it

    @property
    def network(self) -> Network:
        """The network as it sees it."""
        return Network(self._pid)

    def words(self, *argv: str, user: str = "root") -> tuple[str, ...]:
        """Return the words that run a command on it."""
        return (
            *in_namespaces_of(self._pid, "mount", "net", "pid", "ipc", "uts"),
            *ENVIRONMENT,
            *as_user(user),
            *argv,
        )

    def ask(
        self,
        *argv: str,
        user: str = "root",
        timeout: float = 60,
        **options: Any,  # noqa: ANN401 - of run
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever that is."""
        return ask(self.words(*argv, user=user), timeout, **options)

    def run(self, *argv: str, user: str = "root", timeout: float = 60, **options: Any) -> str:  # noqa: ANN401 - of run
        """Run a command that must succeed, and return what it prints."""
        done = self.ask(*argv, user=user, timeout=timeout, **options)
        if done.returncode:
            raise CommandError(
                f"{self.name}: {' '.join(argv)} ended with {done.returncode}:"
                f" {done.stdout[-500:]}{done.stderr[-500:]}"
            )
        return done.stdout

    def start(self, *argv: str, user: str = "root", log: str = "/dev/null") -> None:
        """Start a daemon: its parent is then the node's PID 1."""
        command = 'log=$1; shift; exec setsid --fork "$@" >>"$log" 2>&1 </dev/null'
        self.run("sh", "-c", command, "sh", log, *as_user(user), *argv)

    def runs(self, name: str) -> bool:
        """Whether a program of this name runs outside its containers."""
        return self.ask("pgrep", "--exact", name[:15]).returncode == 0

    def signal(self, name: str, number: str) -> None:
        """Send a signal to all programs of a name."""
        self.run("pkill", f"--signal={number}", "--exact", name[:15])

    # ---- the cluster's layers on it

    def start_corosync(self) -> None:
        """Start the messaging layer."""
        if not self.runs("corosync"):
            self.run("setsid", "corosync", stdin=subprocess.DEVNULL)
        eventually(lambda: self.ask("corosync-cfgtool", "-s").returncode == 0)

    def start_pacemaker(self) -> None:
        """Start the cluster manager."""
        if not self.runs("pacemakerd"):
            self.start(
                *(
                    "env",
                    "PCMK_logfile=/var/log/pacemaker/pacemaker.log",
                    "PCMK_logpriority=notice",
                ),
                *("PCMK_stderr=0", "pacemakerd"),
                log="/var/log/pacemaker/pacemakerd.out",
            )

    def start_cluster(self) -> None:
        """Boot if need be, and join the cluster."""
        with self._button:
            self.boot()
            self.start_corosync()
            self.start_pacemaker()

    def stop_pacemaker(self) -> None:
        """Stop the cluster manager, and so all resources here, in order."""
        if self.runs("pacemakerd"):
            self.signal("pacemakerd", "TERM")
            eventually(lambda: not self.runs("pacemakerd"), 120)

    def stop_corosync(self) -> None:
        """Leave the cluster in order."""
        if self.runs("corosync"):
            self.run("corosync-cfgtool", "-H")
            eventually(lambda: not self.runs("corosync"))

    def container(self, replica: str) -> str:
        """Return the name of the container of a resource such as redis-bundle-podman-0."""
        names = self.run("podman", "ps", "--format={{.Names}}").split()
        return next(name for name in names if name == replica)

    # ---- the exporter

    def start_exporter(self, *arguments: str) -> None:
        """Start the exporter as its user, quick in all it does."""
        self.start(
            *EXPORTER,
            *("--poll.interval=2s", "--poll.timeout=5s", "--poll.max-age=12s"),
            "--collector.node-attributes=.*",
            *arguments,
            user=USER,
            log="/var/log/exporter.log",
        )

    def page(self, timeout: float = 5) -> str:
        """Scrape it, from the node itself."""
        return self.network.get(f"http://{self.address}:{PORT}/metrics", timeout).decode()

    def answers(self) -> bool:
        """Whether its Pacemaker does."""
        query = ("cibadmin", "--query", "--scope=crm_config", "--local")
        return self.on and self.ask(*query, timeout=5).returncode == 0


class CommandError(AssertionError):
    """A command on a node or beside them failed; another attempt may succeed."""


REFUSALS = (AssertionError, OSError, subprocess.TimeoutExpired)
"""What a broken cluster does to those who want something of it."""


class Site:
    """Where the nodes stand: a pid, network and mount namespace with a switch for their cables."""

    def __init__(self, state: Path, images: Path, exporter: Path) -> None:
        """Args: a directory for what is written; podman's images; the exporter's environment."""
        self.state = state / "disks"
        self.shared = state / "shared"
        self.logs = state
        self.images = images
        self.exporter = exporter
        self.state.mkdir()
        starter = subprocess.Popen(
            (
                *("setpriv", "--pdeathsig=KILL"),
                *("unshare", "--net", "--mount", "--propagation=private", "--pid", "--fork"),
                *("--kill-child=KILL", "catatonit", "-P"),
            ),
            stdin=subprocess.DEVNULL,
        )
        self._starter = starter
        self._started: list[subprocess.Popen[bytes]] = []
        self.pid = eventually(lambda: child_of(starter.pid))
        eventually(partial(is_init, self.pid))
        self.run("mount", "-t", "tmpfs", "-o", "mode=755,size=3g", "disks", str(self.state))
        self.ip("link", "set", "lo", "up")
        for bridge in (*SWITCHES, "outside"):
            self.ip("link", "add", bridge, "type", "bridge", "stp_state", "0")
        self.switch("up")
        self.ip("address", "add", f"{STATION}/24", "dev", "outside")
        self.ip("link", "set", "outside", "up")

    @property
    def network(self) -> Network:
        """The nodes' network, seen from outside of them."""
        return Network(self.pid)

    def start(self, log: Path, *argv: str) -> None:
        """Start a daemon here; it ends with the site."""
        words = (*in_namespaces_of(self.pid, "mount", "net", "pid"), *argv)
        with log.open("wb") as output:
            self._started.append(
                subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            )

    def end(self) -> None:
        """Kill everything."""
        self._starter.kill()
        for process in (self._starter, *self._started):
            process.wait(30)

    def words(self, *argv: str) -> tuple[str, ...]:
        """Return the words that run a command here."""
        return (*in_namespaces_of(self.pid, "mount", "net"), *argv)

    def run(self, *argv: str) -> None:
        """Run a command that must succeed."""
        done = ask(self.words(*argv), 30)
        if done.returncode:
            raise CommandError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr}")

    def ip(self, *argv: str) -> None:
        """Change the network."""
        self.run("ip", *argv)

    def switch(self, state: str) -> None:
        """Have the switches of the cluster's links up, or down: then each node is alone."""
        for bridge in SWITCHES:
            self.ip("link", "set", bridge, state)

    def remove(self, link: str) -> None:
        """Remove an end of a cable, if it is still there, and with it the other end."""

        def gone() -> bool:
            words = self.words("ip", "link", "show", link)
            return subprocess.run(words, capture_output=True, check=False).returncode != 0

        with contextlib.suppress(CommandError):
            self.ip("link", "delete", link)
        eventually(gone)


class PowerSwitch:
    """What fence_power asks: cuts the power of nodes, and may give it back."""

    def __init__(self, directory: Path, nodes: Sequence[Node]) -> None:
        """Args: the directory shared with the nodes; those it is for."""
        self.stuck = False
        """Leaves requests unanswered."""
        self.restarts = True
        """A reboot ends with the node back in the cluster, or else off."""
        self._requests = directory / "requests"
        self._nodes = {node.name: node for node in nodes}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._stop.wait(0.2):
            for request in [] if self.stuck else self._asked():
                node = self._nodes[request.name.partition(".")[0]]
                # The node that asked may have given up or be off by now. A test that breaks a node
                # while it starts has to start it again.
                with contextlib.suppress(*REFUSALS):
                    action = request.read_text(encoding="ascii").strip()
                    if action != "on":
                        node.power_off()
                    request.unlink(missing_ok=True)  # the answer
                    if action == "on" or (action == "reboot" and self.restarts):
                        node.start_cluster()

    def forget(self) -> None:
        """Drop all requests: whoever made them is off."""
        for request in self._asked():
            request.unlink(missing_ok=True)

    def _asked(self) -> list[Path]:
        """Return the requests that are complete: fence_power renames them when they are."""
        return sorted(file for file in self._requests.iterdir() if file.suffix != ".new")


class Cluster:
    """The nodes, and what an operator does to them."""

    def __init__(self, site: Site) -> None:
        """Args: where they stand."""
        self.site = site
        self.nodes = tuple(Node(site, number) for number in range(len(NAMES)))
        self.power = PowerSwitch(self._shared_files(), self.nodes)

    def _shared_files(self) -> Path:
        """Write what all nodes share; return the directory of the power switch."""
        shared = self.site.shared
        power = shared / "power"
        for made in (power / "requests", power / "nodes"):
            made.mkdir(parents=True)
        (shared / "authkey").write_bytes(secrets.token_bytes(4096))
        hosts = "".join(f"{node.address} {node.name}\n" for node in self.nodes)
        (shared / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}", encoding="ascii")
        members = "".join(
            f"\tnode {{\n\t\tname: {node.name}\n\t\tnodeid: {number}\n"
            f"\t\tring0_addr: {node.address}\n\t\tring1_addr: {node.second_address}\n\t}}\n"
            for number, node in enumerate(self.nodes, 1)
        )
        text = (FILES / "corosync.conf").read_text(encoding="ascii")
        (shared / "corosync.conf").write_text(f"{text}nodelist {{\n{members}}}\n", encoding="ascii")
        return power

    def node(self, name: str) -> Node:
        """Return the node of a name."""
        return self.nodes[NAMES.index(name)]

    def start(self) -> None:
        """Have all nodes join the cluster."""
        for step in (Node.boot, Node.start_corosync, Node.start_pacemaker):
            for node in self.nodes:
                step(node)
        eventually(lambda: self.members_online() == set(NAMES), 120)

    def any_node(self) -> Node:
        """Return a node whose Pacemaker answers."""
        return eventually(lambda: next((node for node in self.nodes if node.answers()), None))  # type: ignore[return-value]

    def run(self, *argv: str, timeout: float = 60, **options: Any) -> str:  # noqa: ANN401 - of run
        """Run a command on a node whose Pacemaker answers."""
        return self.any_node().run(*argv, timeout=timeout, **options)

    def settle(self, seconds: float = 120) -> None:
        """Wait until the cluster has nothing left to do: its controller is idle, and stays so.

        Not crm_resource --wait, which waits in vain while a node is in standby.
        """
        idle = 0
        until = time.monotonic() + seconds
        while idle < 3:
            assert time.monotonic() < until, "the cluster does not settle"
            time.sleep(0.5)
            node = self.any_node()
            found = node.ask("crmadmin", "--quiet", "--dc_lookup", timeout=10).stdout.split()
            said = node.ask("crmadmin", f"--status={found[-1]}", timeout=10) if found else None
            state = said.stdout if said else ""
            idle = idle + 1 if "S_IDLE" in state else 0

    def status(self) -> str:
        """Return what Pacemaker says for people to read, scores included."""
        answering = (node for node in self.nodes if node.answers())
        return next(
            (node.ask("crm_mon", "-1rfA").stdout for node in answering),
            "no node's Pacemaker answers",
        )

    def promoted(self) -> Counter[str]:
        """Return how many replicas of bundles are promoted, by Pacemaker itself."""
        text = self.run("crm_mon", "--one-shot", "--output-as=xml")
        bundles = ET.fromstring(text).iter("bundle")  # noqa: S314 - from the cluster the test made
        return Counter(
            bundle.attrib["id"]
            for bundle in bundles
            for resource in bundle.iter("resource")
            if resource.get("role") == "Promoted"
        )

    def members_online(self) -> set[str]:
        """Return the members that crm_mon lists as online."""
        text = self.run("crm_mon", "-1")
        return {
            name for line in re.findall(r"  \* Online: \[ (.+) \]", text) for name in line.split()
        }

    def configure(self, configuration: str) -> None:
        """Replace the configuration."""
        self.run(
            *("cibadmin", "--replace", "--scope=configuration", "--xml-pipe"), input=configuration
        )
        self.settle()

    def reset(self) -> None:
        """Undo everything that was done to the configuration."""
        self.configure((FILES / "cib.xml").read_text(encoding="utf-8"))

    def mend(self) -> None:
        """Undo whatever a test did that failed."""
        self._repair()
        try:
            self._join()
        except REFUSALS:
            self.restart()

    def restart(self) -> None:
        """Start all nodes without what Pacemaker keeps until it stops on all of them.

        Such as failures and promotion scores. Whatever a test did is undone, too.
        """
        for node in self.nodes:
            node.power_off()
        self.power.forget()
        self._repair()
        self._join()

    def _repair(self) -> None:
        self.power.stuck, self.power.restarts = False, True
        self.site.switch("up")
        for node in self.nodes:
            node.boot()
            node.plug()
            for daemon in DAEMONS:
                node.ask("pkill", "--signal=CONT", "--exact", daemon[:15])

    def _join(self) -> None:
        for node in self.nodes:
            node.start_cluster()
        self.reset()
        # Not before: one in standby or maintenance is not listed so.
        eventually(lambda: self.members_online() == set(NAMES), 120)

    # ---- what an operator does

    def attribute(self, name: str, value: str | None, node: Node | None = None) -> None:
        """Set an attribute of a node, or an option of the cluster; None removes it."""
        where = (f"--node={node}",) if node else ()
        what = ("--delete",) if value is None else (f"--update={value}",)
        self.run("crm_attribute", *where, f"--name={name}", *what)

    def meta(self, resource: str, name: str, value: str | None) -> None:
        """Set a meta attribute of a resource; None removes it."""
        what = (
            ("--delete-parameter", name)
            if value is None
            else (*("--set-parameter", name), f"--parameter-value={value}")
        )
        self.run("crm_resource", f"--resource={resource}", "--meta", *what)

    def container(self, bundle: str, **attributes: str) -> None:
        """Change how the containers of a bundle are made."""
        text = self.run("cibadmin", "--query", f"--xpath=//bundle[@id='{bundle}']")
        element = ET.fromstring(text)  # noqa: S314 - from the cluster that the test made
        podman = element.find("podman")
        assert podman is not None
        podman.attrib.update(attributes)
        # The whole bundle: an element without an id would be taken for any of its kind.
        new = ET.tostring(element, encoding="unicode")
        self.run("cibadmin", "--modify", "--scope=resources", f"--xml-text={new}")

    def replica(self, bundle: str, number: str) -> Node:
        """Return the node that runs the container of a replica."""
        said = self.run("crm_resource", "--locate", f"--resource={bundle}-podman-{number}")
        return self.node(said.split("running on: ")[1].split()[0])
