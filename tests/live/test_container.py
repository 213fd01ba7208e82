"""The container of deploy/container on the nodes, run with the documented command."""

import re
import shlex
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.cluster import USER, Cluster, Node
from tests.support.harness import see
from tests.support.harness.podman import CONTAINERFILE, documented
from tests.support.harness.programs import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.real]

PORT = 19665
"""The node's own exporter has the usual one."""
NAME = "pacemaker-bundle-exporter"
COMPARED = ("pacemaker_bundle_", "pacemaker_node_", "pacemaker_resource_", "corosync_")
TRUSTED = (
    "pacemaker_up",
    "pacemaker_view_trusted",
    "corosync_up",
    'pacemaker_bundle_state{bundle="galera-bundle",state="ok"}',
)
CHANGING = ("_total", "_seconds")
"""Two exporters read these at different moments."""


def series(node: Node, port: int) -> Mapping[str, float]:
    """Scrape an exporter on a node."""
    url = f"http://{node.address}:{port}/metrics"
    return see.series(node.network.get(url, 5).decode())


def of_cluster(page: Mapping[str, float]) -> Mapping[str, float]:
    """Return what every exporter on a node has to say."""
    return {
        name: value
        for name, value in page.items()
        if name.startswith(COMPARED) and not any(word in name for word in CHANGING)
    }


def scraped(node: Node, *flags: str) -> Mapping[str, float]:
    """Run the container and return its page, once it sees what the node's exporter sees."""
    *argv, image = shlex.split(documented("run"))
    arguments = (f"--web.listen-address=:{PORT}", "--collector.node-attributes=.*")
    node.run(*argv, *flags, image, *arguments)
    try:

        def agreed() -> Mapping[str, float]:
            page = series(node, PORT)
            assert [page.get(name) for name in TRUSTED] == [1] * len(TRUSTED)
            assert of_cluster(page) == of_cluster(series(node, 19664))
            return page

        page = eventually(agreed, 60)
        restricted(node)
    except AssertionError:
        print(node.ask("podman", "logs", NAME).stderr)
        raise
    finally:
        node.run("podman", "rm", "--force", "--time=5", NAME)
    return page


def scraped_as_its_user(node: Node) -> Mapping[str, float]:
    """Do the same as the user of the node, whom ACLs may name: the image does not know it."""
    return scraped(node, f"--user={node.run('id', '-u', USER).strip()}:haclient")


def restricted(node: Node) -> None:
    """Check what the process of the container may do."""
    pid = node.run("podman", "inspect", "--format={{.State.Pid}}", NAME).strip()
    lines = node.run("cat", f"/proc/{pid}/status").splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    haclient = node.run("getent", "group", "haclient").split(":")[2]
    assert set(status["Gid"]) == {haclient}
    assert "0" not in status["Uid"]
    assert int(status["CapBnd"][0], 16) == int(status["CapEff"][0], 16) == 0
    assert status["NoNewPrivs"] == ["1"]
    mounts = node.run("cat", f"/proc/{pid}/mounts").splitlines()
    (root,) = (words[3] for words in map(str.split, mounts) if words[1] == "/")
    assert root.startswith("ro")


def test_documented_container_sees_the_cluster_from_each_node(
    cluster: Cluster, exporter_image: None
) -> None:
    with ThreadPoolExecutor(len(cluster.nodes)) as executor:
        first, *others = cluster.nodes
        runs = [executor.submit(scraped, node) for node in others]
        runs.append(executor.submit(scraped_as_its_user, first))
        pages = [run.result() for run in runs]
    for page in pages:
        assert not [name for name in page if name.startswith("sbd_")]
    assert sum(page["pacemaker_view_dc"] for page in pages) == 1


def test_image_gets_the_ids_of_el_where_the_host_has_none(
    cluster: Cluster, exporter_image: None
) -> None:
    """The documented command then passes empty arguments; the Debian below has no such users."""
    text = CONTAINERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    (users,) = re.findall(r"^RUN (groupadd .*?) && apt-get update", text, re.MULTILINE)
    empty = ("--env=HACLIENT_GID=", "--env=HACLUSTER_UID=")
    image = ("--network=host", "docker.io/library/debian:12-slim")
    script = f"{users} && getent passwd hacluster && id -G pacemaker-exporter"
    made = cluster.nodes[0].run("podman", "run", "--rm", *empty, *image, "sh", "-ec", script)
    hacluster, groups = made.splitlines()
    assert hacluster.split(":")[2:4] == ["189", "189"]
    assert "189" in groups.split()
