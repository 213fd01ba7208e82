"""Whether an exporter says what Pacemaker's own tools say on its node at the same moment."""

import re
import time
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from exporter.sources.status import INTERVAL_AFTER_CHANGE
from tests.live.cluster import NAMES, Node
from tests.support.oracle.agreement import (
    DETAILED,
    PLAIN,
    Labels,
    disagreements_on_bundles,
    disagreements_on_the_rest,
    exported,
)
from tests.support.oracle.invariants import Page

_MOMENT = re.compile(r"(?m)^(  \* Last updated: .*|Status of pacemakerd: .*)\n")
_SNAPSHOT = "pacemaker_exporter_snapshot_timestamp_seconds"
_HISTORY = re.compile("resource_(failures|migration_threshold|last_failure_timestamp_seconds)")
_UNTIL_HISTORY = INTERVAL_AFTER_CHANGE + 5
"""Seconds after the last change until a page has the histories, at the latest: on a busy machine
crm_mon is slow, and the exporter then leaves them out of most answers (METRICS.md)."""


def disagreements(node: Node, seconds: float = 90) -> list[str]:
    """Compare the page of a poll with texts that were the same before it began and after it ended.

    What nodes remember of resources may come later, by _UNTIL_HISTORY.

    Raises:
        TimeoutError: the cluster never stood still for so long.

    """
    until = time.monotonic() + seconds
    before, still_since = _said(node), time.monotonic()
    while time.monotonic() < until:
        page = _page_since(node, time.time(), until)
        after = _said(node)
        if after == before:
            plain, detailed, cib = after
            found = [
                *disagreements_on_bundles(plain, detailed, page),
                *disagreements_on_the_rest(plain, detailed, page),
                *_disagreements_on_the_configuration(cib, page),
            ]
            late = time.monotonic() > still_since + _UNTIL_HISTORY
            if late or not found or not all(map(_HISTORY.match, found)):
                return found
        else:
            still_since = time.monotonic()
        before = after
    raise TimeoutError(f"{node}: no two answers of crm_mon were the same within {seconds} s")


def disagreements_on_corosync(node: Node, seconds: float = 30) -> list[str]:
    """Compare the page with what corosync's own commands print before and after it.

    A poll may have begun before the last change, so they have some seconds to agree.
    """
    until = time.monotonic() + seconds
    while True:
        before = said_by_corosync(node)
        page = exported(node.page(), "corosync_")
        found = [
            f"corosync_{name} is {page.get(name, {})}, by corosync {expected}"
            for name, expected in before.items()
            if page.get(name, {}) != expected
        ]
        if not found and said_by_corosync(node) == before:
            return []
        if time.monotonic() > until:
            return found or ["corosync's answer never stood still"]
        time.sleep(0.5)


_VOTES = {
    "votes_expected": "Expected votes",
    "votes_expected_highest": "Highest expected",
    "votes_present": "Total votes",
    "votes_needed": "Quorum",
}


def said_by_corosync(node: Node) -> Page:
    """Return what corosync-quorumtool and corosync-cfgtool print, as the exporter should say it.

    Where corosync does not run there is nothing but `up`.
    """
    told = node.ask("corosync-quorumtool", "-s").stdout  # 2 without quorum
    if not told:
        return {"up": {(): 0}, "quorate": {}, "node_member": {}, "link_connected": {}}
    votes: dict[str, dict[Labels, float]] = {
        name: {(): float(re.findall(rf"(?m)^{words}: +(\d+)", told)[0])}
        for name, words in _VOTES.items()
    }
    members: dict[Labels, float] = {
        (NAMES[int(number) - 1],): float(count)
        for number, count in re.findall(r"(?m)^ +(\d+) +(\d+) \S+", told)
    }
    return {
        "up": {(): 1},
        "quorate": {(): float("Quorate:          Yes" in told)},
        "node_member": {(name,): float((name,) in members) for name in NAMES},
        "node_votes": members,
        "link_connected": links_by_corosync(node),
        **votes,
    }


def links_by_corosync(node: Node) -> dict[Labels, float]:
    """Return which links are connected, by peer and number, as corosync-cfgtool prints it."""
    found: dict[Labels, float] = {}
    link = ""
    for line in node.run("corosync-cfgtool", "-s").splitlines():
        if match := re.match(r"LINK ID (\d+)", line):
            link = match[1]
        elif match := re.match(r"\s+nodeid:\s+(\d+):\s+(connected|disconnected)", line):
            found[NAMES[int(match[1]) - 1], link] = match[2] == "connected"
    return found


def _said(node: Node) -> tuple[str, str, str]:
    plain, detailed = (
        _MOMENT.sub("", node.run("crm_mon", *arguments)) for arguments in (PLAIN, DETAILED)
    )
    return plain, detailed, node.run("cibadmin", "--query", "--local", "--scope=configuration")


def _page_since(node: Node, moment: float, until: float) -> str:
    """Scrape until the page is of a poll that began after a moment."""
    while time.monotonic() < until:
        page = node.page()
        if exported(page, _SNAPSHOT)[""].get((), 0) > moment:
            return page
        time.sleep(0.1)
    raise TimeoutError(f"{node}: no poll succeeds")


def _disagreements_on_the_configuration(cib: str, page: str) -> Iterator[str]:
    """Compare with what cibadmin says, read here once more."""
    root = ET.fromstring(cib)  # noqa: S314 - from the cluster that the test made
    found = exported(page, "pacemaker_")
    bundles = {bundle.attrib["id"]: bundle.find("podman") for bundle in root.iter("bundle")}
    for name, attribute in {
        "bundle_replicas": "replicas",
        "bundle_promoted_max": "promoted-max",
    }.items():
        expected = {
            (id_,): float(podman.get(attribute, 0))
            for id_, podman in bundles.items()
            if podman is not None
        }
        if found.get(name) != expected:
            yield f"{name} is {found.get(name)}, by the CIB {expected}"
    images = {(id_, podman.get("image")) for id_, podman in bundles.items() if podman is not None}
    shown = {(labels[0], labels[2]) for labels in found.get("bundle_info", {})}
    if shown != images:
        yield f"bundle_info has the images {shown}, by the CIB {images}"
    left = {
        (constraint.attrib["id"],)
        for constraint in root.iter("rsc_location")
        if constraint.attrib["id"].startswith("cli-")
    }
    bans = {
        labels[:1] for labels in found.get("location_ban_score", {}) if labels[0].startswith("cli-")
    }
    if bans != left:
        yield f"location_ban_score has {bans}, by the CIB {left}"
