"""With odd names of hosts and nodes the local node is right or unknown, never wrong."""

import os
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from exporter.pacemaker.crm_node import by_host_name
from tests.support.harness import see
from tests.support.model.states import STATES

NODE = "controller-0"
OTHERS = ("controller-1", "controller-2")
LONGEST = "h" * 64
CASES = [
    # host name, node that is this host (or might be taken for it), whether it is known to be
    (NODE, NODE, True),
    (f"{NODE}.example.com", NODE, True),
    (f"{NODE}.example.com", f"{NODE}.example.com", True),
    (NODE, f"{NODE}.example.com", False),
    (NODE.upper(), NODE.upper(), True),
    ("", NODE, False),
    (".example.com", NODE, False),
    (f"{NODE}0", NODE, False),
    (LONGEST, LONGEST, True),
    ("münchen-0.example.com", "münchen-0", True),
    ("\udcff\udcfe", NODE, False),
    ("my host", "my host", True),
    ("--help", "--help", True),
    ("-1", "-1", True),
    ('a"b\\c<&', 'a"b\\c<&', True),
]

RENAMED = """
import os, socket, sys
socket.sethostname(os.fsencode(sys.argv[1]))
os.execv(sys.executable, [sys.executable, "-m", "exporter", *sys.argv[2:]])
"""


def _escaped(name: str) -> str:
    """As in a label of the text format."""
    return name.replace("\\", "\\\\").replace('"', '\\"')


@pytest.mark.parametrize(("host", "node", "known"), CASES)
def test_host_name_selects_the_local_node(host: str, node: str, known: bool) -> None:
    assert by_host_name(host, [*OTHERS, node]) == (node if known else "")


@pytest.mark.real
@pytest.mark.parametrize("case", [1, 3, 5, 9, 10, 12])
def test_program_finds_the_local_node_by_the_host_name(case: int, tmp_path: Path) -> None:
    """Without a cluster the real crm_node has no name, so the host name decides."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a host another name")
    host, node, known = CASES[case]
    text = STATES["healthy"].xml()
    quoted = quoteattr(node)
    assert f'"{NODE}"' in text
    cib = tmp_path / "cib.xml"
    cib.write_text(text.replace(f'"{NODE}"', quoted), encoding="utf-8")
    ended = subprocess.run(
        [see.need("unshare"), "--uts", sys.executable, "-c", RENAMED, os.fsencode(host), "--once"],
        env={**os.environ, "CIB_file": str(cib)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    page = see.series(ended.stdout.decode())
    mine = {name: value for name, value in page.items() if name.startswith("pacemaker_local_node")}
    assert mine == ({f'pacemaker_local_node_info{{node="{_escaped(node)}"}}': 1} if known else {})
    # That node is the DC.
    assert (page["pacemaker_up"], page["pacemaker_view_dc"]) == (1, known)
    assert (b"cannot tell which node" in ended.stderr) is not known
