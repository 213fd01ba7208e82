"""Pacemaker's commands as shell scripts that follow a plan from start to start.

These are shell scripts: tests/support/harness/stand_in.py starts a Python, which for ten thousand
polls would take longer than everything else.
"""

import random
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from tests.bench.answers import answer
from tests.bench.clusters import Cib, Size
from tests.fuzz.mutate import mutate_bytes
from tests.support.harness.see import CAPTURES
from tests.support.harness.stand_in import CIB, HEALTHY

_SCRIPT = """#!/bin/sh
read -r n <{0}/count
echo $((n + 1)) >{0}/count
[ -e {0}/plan/$n ] && [ ! -e {0}/calm ] || n=end
. {0}/plan/$n
"""
_LARGE = Size(100, 5, 16)
_VARIANTS = 30
"""Of each kind of broken answer."""
LAST_CHANGES = (
    "Sun Mar  8 02:30:00 2026",  # not in Newfoundland, where clocks go from 2 to 3
    "Sun Nov  1 01:30:00 2026",  # twice there
    "Thu Jan  1 00:00:00 1970",
    "2026-11-22 12:34:36 -05:00",
    "2026-11-22 17:34:36Z",
    "Tue Jan 19 03:14:08 2038",
    "yesterday",
    "",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One behaviour of a command, in several variants."""

    share: float
    """Of all starts."""
    bodies: Sequence[str]
    """What the shell runs."""


class Planned:
    """A command that follows a plan, and succeeds after its end."""

    def __init__(self, directory: Path, name: str, kinds: Mapping[str, Kind], well: str) -> None:
        """Write the variants; the plan is empty."""
        self.path = directory / name
        self._kinds = kinds
        self._home = directory / f"{name}.d"
        self._last = 0
        (self._home / "plan").mkdir(parents=True)
        (self._home / "count").write_text("1\n", encoding="utf-8")
        for kind, does in {**kinds, "well": Kind(0, [well])}.items():
            for number, body in enumerate(does.bodies):
                self._body(kind, number).write_text(f"{body}\n", encoding="utf-8")
        (self._home / "plan" / "end").symlink_to(self._body("well", 0))
        self.path.write_text(_SCRIPT.format(shlex.quote(str(self._home))), encoding="utf-8")
        self.path.chmod(0o755)

    def plan(self, starts: int, seed: int) -> None:
        """Plan every variant twice, then random ones, up to so many starts."""
        begin = self.starts + 100  # it goes on starting meanwhile
        self._last = begin + starts - 1
        source = random.Random(seed)
        first = [kind for kind in self._kinds for _ in range(2)]
        shares = [does.share for does in self._kinds.values()]
        then = source.choices(list(self._kinds), shares, k=max(0, starts - len(first)))
        for number, kind in enumerate([*first, *then], begin):
            variant = source.randrange(len(self._kinds[kind].bodies))
            (self._home / "plan" / str(number)).symlink_to(self._body(kind, variant))

    def calm(self) -> None:
        """Succeed from now on."""
        (self._home / "calm").touch()
        self.repair()

    @property
    def through(self) -> bool:
        """Whether the plan has ended."""
        return self.starts >= self._last

    @property
    def starts(self) -> int:
        """Number of starts."""
        while not (text := (self._home / "count").read_text(encoding="utf-8")):
            pass  # just being written
        return int(text) - 1

    def repair(self) -> None:
        """Make the command executable again."""
        self.path.chmod(0o755)

    def _body(self, kind: str, number: int) -> Path:
        return self._home / f"{kind}.{number}"


def crm_mon(directory: Path, seed: int) -> Planned:
    """Prints the answers of eight real versions, and fails in every known way."""
    source = random.Random(seed)
    saved = directory / "answers"
    saved.mkdir()

    def save(data: bytes) -> str:
        path = saved / str(len(list(saved.iterdir())))
        path.write_bytes(data)
        return shlex.quote(str(path))

    def cat(*answers: bytes) -> list[str]:
        return [f"exec cat {save(answer)}" for answer in answers]

    every = sorted(CAPTURES.glob("*/**/*.xml"))
    good = [path.read_bytes() for path in every if path.stat().st_size > 2000]
    bad = [path.read_bytes() for path in every if path.stat().st_size < 500]
    silent = (CAPTURES / "live-2.1.5" / "14a-based-frozen.xml").read_bytes()
    healthy = HEALTHY.read_bytes()
    change = re.compile(rb'(<last_change time=)"[^"]*"')
    zones = [change.sub(rb'\1"' + text.encode() + b'"', healthy) for text in LAST_CHANGES]
    some = shlex.quote(str(HEALTHY))
    cut = [source.choice(good) for _ in range(_VARIANTS)]
    large = answer(Cib(directory, _LARGE))
    kinds = {
        "good": Kind(52, cat(*good)),
        "same": Kind(15, cat(healthy)),
        "zones": Kind(4, cat(*zones)),
        "large": Kind(0.2, cat(large)),
        "no cluster": Kind(2, [f"cat {save(data)}; exit {c}" for data in bad for c in (0, 102, 4)]),
        "no status": Kind(1, cat(silent)),
        "ill-formed": Kind(6, cat(*(_ill_formed(source.choice(good), source) for _ in cut))),
        "truncated": Kind(4, cat(*(d[: source.randrange(len(d))] for d in cut))),
        "garbage": Kind(2, cat(*(source.randbytes(source.randrange(5000)) for _ in cut))),
        "entities": Kind(0.5, cat(b'<!DOCTYPE x [<!ENTITY e "eeee">]><crm_mon>&e;</crm_mon>')),
        "empty": Kind(1, ["exit 0", "echo lost >&2; exit 0", "echo; exit 0"]),
        "status": Kind(2, [f"echo no >&2; exit {c}" for c in (1, 4, 64, 70, 102, 107, 124, 255)]),
        "killed": Kind(
            2,
            [
                f"ulimit -c 0; head -c {amount} {some}; kill -{signal} $$"
                for signal in ("KILL", "SEGV", "ABRT", "TERM", "PIPE")
                for amount in (0, 5000)
            ],
        ),
        "slow": Kind(1.5, [f"head -c 3000 {some}; sleep 0.1; tail -c +3001 {some}"]),
        "chatty": Kind(1, [f"head -c 1000000 /dev/zero >&2; exec cat {some}"]),
        "deaf to the end": Kind(1, [f"cat {some}; exec >&- 2>&-; sleep 0.05"]),
        "leaves a child": Kind(1, [f"sleep 60 & exec cat {some}"]),
        "leaves a session": Kind(0.3, [f"setsid sleep 1 & exec cat {some}"]),
        "floods": Kind(0.1, ["exec cat /dev/zero"]),
        "hangs": Kind(0.15, ["exec sleep 60"]),
        "hangs, deaf": Kind(0.1, ["trap '' TERM; sleep 60"]),
        "stopped": Kind(0.15, ["kill -STOP $$"]),
        "not executable": Kind(0.1, [f'chmod 644 "$0"; exec cat {some}']),
    }
    return Planned(directory, "crm_mon", kinds, f"exec cat {some}")


def cibadmin(directory: Path) -> Planned:
    """Succeeds most of the time."""
    some = shlex.quote(str(CIB))
    kinds = {
        "good": Kind(80, [f"exec cat {some}"]),
        "truncated": Kind(5, [f"exec head -c {amount} {some}" for amount in (1, 1000, 5000)]),
        "status": Kind(5, ["exit 1", "exit 102", "exit 4"]),
        "killed": Kind(5, ["kill -KILL $$"]),
        "hangs": Kind(0.1, ["exec sleep 60"]),
        "empty": Kind(5, ["exit 0"]),
    }
    return Planned(directory, "cibadmin", kinds, f"exec cat {some}")


def crm_node(directory: Path) -> Planned:
    """Succeeds or fails; the exporter asks it again after a minute."""
    kinds = {"good": Kind(50, ["echo controller-0"]), "status": Kind(1, ["exit 1"])}
    return Planned(directory, "crm_node", kinds, "echo controller-0")


def _ill_formed(data: bytes, source: random.Random) -> bytes:
    """Mutate it until it is ill-formed. tests/fuzz covers well-formed nonsense."""
    while True:
        try:
            etree.fromstring(data)
        except etree.XMLSyntaxError:
            return data
        data = mutate_bytes(data, source)
