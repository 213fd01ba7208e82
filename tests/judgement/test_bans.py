"""Bans: compared with those that the real crm_mon lists, and form by form."""

import os
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings

from exporter.cluster.location import Locations
from exporter.cluster.model import Ban
from exporter.judgement.bans import find_bans
from exporter.pacemaker import crm_mon
from tests.support.harness import see
from tests.support.model.locations import configuration, locations
from tests.support.model.states import STATES


def listed(cib: Path) -> set[Ban]:
    """Return the bans that crm_mon lists."""
    command = (
        see.need("crm_mon"),
        "--output-as=xml",
        "--include=none,summary,nodes,resources,bans",
    )
    environment = {**os.environ, "CIB_file": str(cib), "LC_ALL": "C", "TZ": "UTC"}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    return set(crm_mon.parse(done.stdout).bans)


def found(cib: Path) -> set[Ban]:
    """Return the bans that the exporter finds."""
    return {ban for ban in find_bans(see.observe(cib)) or () if ban.score < 0}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for CIBs."""
    return tmp_path_factory.mktemp("bans")


@pytest.mark.real
@settings(max_examples=40, deadline=None, derandomize=True, print_blob=True)
@given(drawn=locations())
def test_bans_are_those_that_crm_mon_lists(drawn: Locations, directory: Path) -> None:
    file = directory / "cib.xml"
    file.write_bytes(ET.tostring(configuration(drawn)))

    def compared(bans: set[Ban]) -> set[Ban]:
        # 2.1.5 gives a guest node of a bundle no attributes until it has run, and lists it with
        # -INFINITY for any score of a rule with `or`.
        return {ban for ban in bans if ban.node != "web-bundle-0"}

    assert compared(found(file)) == compared(listed(file))


@pytest.mark.real
def test_bans_of_named_states_are_those_that_crm_mon_lists(tmp_path: Path) -> None:
    wrong = []
    for name, state in STATES.items():
        file = tmp_path / f"{name}.xml"
        state.write(file)
        if found(file) != listed(file):
            wrong.append(name)
    assert wrong == []
