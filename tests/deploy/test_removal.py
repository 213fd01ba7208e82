"""The README's commands remove every file that the ways of installing leave."""

import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

import pytest

from tests.support.oracle.rules import read
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAME = "pacemaker-bundle-exporter"


def commands(text: str, mark: str) -> str:
    """The commands of the block after a mark."""
    found = re.search(rf"{mark}\n+```sh\n(.*?)```", text, re.DOTALL)
    assert found, mark
    return found[1].replace("\\\n", " ")


REMOVING = commands(README, "<!-- remove -->")
(REMOVED,) = (shlex.split(line)[2:] for line in REMOVING.splitlines() if line.startswith("rm -rf"))


def is_removed(path: str) -> bool:
    places = (path, *map(str, PurePosixPath(path).parents))
    return any(fnmatchcase(place, pattern) for pattern in REMOVED for place in places)


def named(text: str) -> Iterator[str]:
    """The paths of ours in commands that install."""
    for word in re.findall(r"/(?:opt|usr|etc|var)/[\w./*-]+", text):
        if "/share/" not in word and not word.startswith("/etc/systemd/system/multi"):
            yield word + (NAME if word.endswith("/") else "")


def tasks(content: Any) -> Iterator[str]:  # noqa: ANN401 - what YAML holds
    """The paths that a role writes, with the items of its loops."""
    for task in content:
        for module, arguments in task.items():
            if module.startswith("ansible.builtin.") and isinstance(arguments, dict):
                keys = [key for key in ("dest", "path", "virtualenv") if key in arguments]
                for item in task.get("loop", [""]) if keys else []:
                    yield arguments[keys[0]].replace("{{ item }}", item)


ROLE = ROOT / "deploy/ansible/roles/pacemaker_bundle_exporter"
WRITTEN = sorted(
    path
    for file in sorted((ROLE / "tasks").glob("*.yml"))
    for path in tasks(read(file))
    if path != "/etc/nftables.d"  # others have rules there, too
)


def flags_of_both_systems(path: str) -> list[str]:
    """What a template of the role chooses from."""
    if "ternary" not in path:
        return [re.sub(r"{{.*?}}", "x", path)]
    return [found + path.partition("}}")[2] for found in re.findall(r"'(/[^']+)'", path)]


@pytest.mark.parametrize("path", [p for each in WRITTEN for p in flags_of_both_systems(each)])
def test_files_of_the_ansible_role_are_removed(path: str) -> None:
    assert is_removed(path)


@pytest.mark.parametrize(
    "path",
    [
        *named(commands(README, r"\*\*From source\*\*, with Python 3.11 or newer:")),
        *named(commands(SECURITY, "<!-- strict -->")),
        f"/etc/systemd/system/multi-user.target.wants/{NAME}.service",
        f"/etc/systemd/system/sockets.target.wants/{NAME}-corosync.socket",
        f"/etc/default/{NAME}",
        f"/etc/sysconfig/{NAME}.rpmsave",
        f"/etc/{NAME}/web.yml",
    ],
)
def test_files_of_an_installation_from_source_are_removed(path: str) -> None:
    assert is_removed(path)


def test_users_are_removed() -> None:
    lines = (ROOT / "deploy/systemd/sysusers.conf").read_text(encoding="utf-8").splitlines()
    users = {line.split()[1] for line in lines if line.startswith("u")}
    assert len(users) == 2
    assert set(re.findall(r"userdel (\S+?);?(?=\s)", REMOVING)) == users


def test_nothing_of_others_is_removed() -> None:
    assert all(NAME in pattern for pattern in REMOVED)
    assert not is_removed("/etc/nftables.d")
    assert not is_removed("/etc/systemd/system/prometheus.service")


def test_table_of_nftables_is_that_of_the_role() -> None:
    (table,) = set(
        re.findall(r"^table (.*?) *\{", (ROLE / "templates/nftables.j2").read_text(), re.MULTILINE)
    )
    assert f"nft delete table {table}" in README
