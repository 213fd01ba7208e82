"""A story of five minutes: clusters at moments, written as CIBs, shown by the real crm_mon."""

import io
import json
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from exporter.pacemaker.demo import PACKED
from tests.support.model.cib import Bundle, Cluster, text

BASE = 1_767_225_600
"""2026-01-01T00:00:00Z, the start of every story. All times in stories are offsets from it."""
LOOP_SECONDS = 300
DAY = 86_400
LARGE = 1_000_000
"""Bytes above which the files of a story are packed."""
REQUEST = ("crm_mon", "--output-as=xml", "--inactive")
_TIMEOUT = 60
_THIRD_IS_ON = re.compile(rb'<node name="controller-2" [^>]*online="true"')


@dataclass(frozen=True)
class Frame:
    """The cluster from one moment of the story to the next frame."""

    at: int
    name: str
    says: str
    cluster: Cluster


def started(bundle: Bundle, at: int) -> Bundle:
    """Return the bundle with all replicas started at a time."""
    replicas = tuple(replace(replica, since=at) for replica in bundle.replicas)
    return replace(bundle, replicas=replicas)


def shown(frame: Frame) -> bytes:
    """Return the output of the real crm_mon in a frame, at the frame's time."""
    with tempfile.TemporaryDirectory() as directory:
        cib = Path(directory, "cib.xml")
        cib.write_text(frame.cluster.xml(BASE), encoding="utf-8")
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(BASE + frame.at))
        return subprocess.run(
            ["faketime", "-f", clock, *REQUEST],
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC", "CIB_file": str(cib)},
            capture_output=True,
            timeout=_TIMEOUT,
            check=True,
        ).stdout


def configuration(frame: Frame) -> tuple[str, str]:
    """Return the CIB without status, and the part of it that does not say when it was written."""
    cib = frame.cluster.cib(BASE)
    status = cib.find("status")
    if status is not None:
        status.clear()
    whole = text(cib)
    return whole, whole.partition("<configuration>")[2]


def write(directory: Path, story: Sequence[Frame]) -> None:
    """Write a story into a directory, replacing an old one. Pack its files if they are large."""
    files: dict[str, bytes] = {}
    timeline = []
    _, usual = configuration(story[0])
    for number, frame in enumerate(story):
        name = f"frames/{number:02}-{frame.name}"
        whole, configured = configuration(frame)
        cib = "cib.xml" if configured == usual else f"{name}.cib.xml"
        files.setdefault(cib, whole.encode())
        files[f"{name}.xml"] = answer = shown(frame)
        timeline.append(
            {
                "at": frame.at,
                "name": frame.name,
                "file": f"{name}.xml",
                "cib": cib,
                "corosync": "all" if _THIRD_IS_ON.search(answer) else "without-third",
                "says": frame.says,
            }
        )
    loop = {"base": BASE, "loop_seconds": LOOP_SECONDS, "frames": timeline}
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "frames").mkdir(parents=True)
    (directory / "timeline.json").write_text(json.dumps(loop, indent=2) + "\n", encoding="utf-8")
    if sum(map(len, files.values())) > LARGE:
        (directory / "frames").rmdir()
        _pack(directory / PACKED, files)
        return
    for name, content in files.items():
        (directory / name).write_bytes(content)


def _pack(path: Path, files: Mapping[str, bytes]) -> None:
    # The frames are so much alike that together they take a hundredth of the room.
    with (
        lzma.open(path, "wb", preset=9 | lzma.PRESET_EXTREME) as file,
        tarfile.open(fileobj=file, mode="w") as packed,
    ):
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
