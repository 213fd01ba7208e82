"""The scores that Pacemaker's own scheduler gives nodes."""

import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from tests.support.harness import see

_SCORE = re.compile(r"\S+: (\S+) (?:allocation|assignment) score on (\S+): (\S+)")


def scores(file: Path) -> Mapping[str, Mapping[str, str]]:
    """The scores of nodes by resource, as they are before colocations change them."""
    done = subprocess.run(
        (see.need("crm_simulate"), "--show-scores", "--xml-file", str(file)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for line in done.stdout.splitlines():
        match = _SCORE.fullmatch(line.strip())
        if match is not None:
            # The same resource is listed once more after colocations were applied.
            found[match[1]].setdefault(match[2], match[3])
    return found


def allowed(file: Path) -> Mapping[str, frozenset[str]]:
    """The nodes with a score other than -INFINITY by resource."""
    return {
        resource: frozenset(node for node, score in on.items() if score != "-INFINITY")
        for resource, on in scores(file).items()
    }
