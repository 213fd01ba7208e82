"""The parser of SBD's configuration and pid file.

The configurations are written by hand after sbd.sysconfig of sbd 1.5.2, which EL installs as
/etc/sysconfig/sbd and Debian as /etc/default/sbd. sbd.service reads it as an EnvironmentFile=.
"""

import errno
import os
import subprocess
import sys

import pytest

from exporter.cluster.outcome import Failure, Outcome
from exporter.cluster.sbd import Sbd
from exporter.sbd import reader
from exporter.sbd.files import SbdTexts
from tests.support.harness.results import failed, good

INSTALLED = """\
## Type: string
## Default: ""
#
# SBD_DEVICE specifies the devices to use. Use ";" as separator; it's optional.
#
#SBD_DEVICE=""

## Type: yesno
SBD_PACEMAKER=yes
SBD_STARTMODE=always
SBD_WATCHDOG_DEV=/dev/watchdog
SBD_OPTS=
"""
BY_PATH = "/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.2020-01.example:sbd-lun-0"


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        (INSTALLED, ()),
        ("", ()),
        ("SBD_DEVICE=\n", ()),
        ('SBD_DEVICE=""\n', ()),
        ("SBD_DEVICE=/dev/sda", ("/dev/sda",)),
        ('SBD_DEVICE="/dev/sda"\n', ("/dev/sda",)),
        ("SBD_DEVICE='/dev/sda;/dev/sdb'\n", ("/dev/sda", "/dev/sdb")),
        ("SBD_DEVICE=/dev/sda;/dev/sdb;/dev/sdc\n", ("/dev/sda", "/dev/sdb", "/dev/sdc")),
        ('SBD_DEVICE="/dev/sda; /dev/sdb ;"\n', ("/dev/sda", "/dev/sdb")),
        ("SBD_DEVICE=/dev/sda; /dev/sdb\n", ("/dev/sda", "/dev/sdb")),
        (f'SBD_DEVICE="{BY_PATH};/dev/sdb"\n', (BY_PATH, "/dev/sdb")),
        ('SBD_DEVICE="/dev/sda" # first; second\n', ("/dev/sda",)),
        ("SBD_DEVICE=/dev/sda   # first; second\n", ("/dev/sda",)),
        ("SBD_DEVICE=/dev/disk/by-id/a#1\n", ("/dev/disk/by-id/a#1",)),
        ('SBD_DEVICE="/dev/sda;\\\n/dev/sdb"\n', ("/dev/sda", "/dev/sdb")),
        ("SBD_DEVICE=/dev/sda;\\\n/dev/sdb\nX=1\n", ("/dev/sda", "/dev/sdb")),
        ("SBD_DEVICE=/dev/mapper/a\\ b\n", ("/dev/mapper/a b",)),
        ('SBD_DEVICE="/dev/a\\"b"\n', ('/dev/a"b',)),
        ("SBD_DEVICE=/dev/sda'x'\"y\"\n", ("/dev/sdaxy",)),
        ("  export SBD_DEVICE=/dev/sda\r\n", ("/dev/sda",)),
        ("SBD_DEVICE=/dev/sda\nSBD_DEVICE=/dev/sdb\n", ("/dev/sdb",)),
        ("# SBD_DEVICE=/dev/sda\n;SBD_DEVICE=/dev/sda\n", ()),
        ("OLD_SBD_DEVICE=/dev/sda\nSBD_DEVICES=/dev/sda\n", ()),
        ('SBD_OPTS="it\'s odd"\nSBD_DEVICE=/dev/sda\n', ("/dev/sda",)),
    ],
)
def test_devices_are_read(text: str, devices: tuple[str, ...]) -> None:
    assert reader.parse_devices(text) == devices


@pytest.mark.parametrize("value", ['"/dev/sda', "'/dev/sda\nX=1\n", '/dev/sda"'])
def test_quote_that_is_not_closed_is_malformed(value: str) -> None:
    failure = failed(reader.read(SbdTexts(f"SBD_DEVICE={value}", None)))
    assert failure.outcome is Outcome.MALFORMED
    assert failure.message == (
        "SBD_DEVICE in the configuration of SBD has a quote that is not closed"
    )


def test_long_configuration_is_read_quickly() -> None:
    for text in (" " * 60_000, "SBD_DEVICE=" + " " * 60_000 + "#", "SBD_DEVICE=" + "\\" * 60_000):
        assert reader.parse_devices(text) in {(), ("\\" * 30_000,)}


@pytest.mark.parametrize(
    ("text", "pid"), [("      1234\n", 1234), ("7", 7), ("4194304\n", 1 << 22)]
)
def test_pid_is_read(text: str, pid: int) -> None:
    assert reader.parse_pid(text) == pid


@pytest.mark.parametrize(
    "text", ["", "\n", "0\n", "-1\n", "1 2", "sbd", "4194305", "9" * 5000, "\u0661"]
)
def test_number_of_a_group_or_of_nothing_is_not_a_pid(text: str) -> None:
    def never(pid: int) -> bool:
        raise AssertionError(pid)

    failure = failed(reader.read(SbdTexts(None, text), never))
    assert failure.outcome is Outcome.MALFORMED
    assert failure.message.startswith("the pid file of SBD does not contain a pid: ")
    assert len(failure.message) < 200


@pytest.mark.parametrize(
    ("configuration", "pid", "found"),
    [
        (None, None, Sbd(None, None)),
        (INSTALLED, None, Sbd((), running=False)),
        (INSTALLED, "12\n", Sbd((), running=True)),
        (None, "12\n", Sbd(None, running=True)),
        ("SBD_DEVICE=/dev/sda", "13\n", Sbd(("/dev/sda",), running=False)),
    ],
)
def test_daemon_runs_if_its_pid_exists(
    configuration: str | None, pid: str | None, found: Sbd
) -> None:
    texts = SbdTexts(configuration, pid)
    assert good(reader.read(texts, lambda number: number == 12)) == found


def test_failure_is_returned_unchanged() -> None:
    failure = Failure(Outcome.TOO_LARGE, "x")
    assert reader.read(failure) is failure


def test_process_exists_until_it_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert reader.exists(child.pid)
    assert reader.read(SbdTexts(None, f"{child.pid}\n")) == Sbd(None, running=True)
    child.communicate()
    assert not reader.exists(child.pid)
    assert reader.read(SbdTexts("", f"{child.pid}\n")) == Sbd((), running=False)


@pytest.mark.parametrize(
    ("number", "found"), [(errno.ESRCH, False), (errno.EPERM, True), (errno.EACCES, True)]
)
def test_process_of_another_user_exists(number: int, found: bool) -> None:
    asked = []

    def send(pid: int, signal: int) -> None:
        asked.append((pid, signal))
        raise OSError(number, os.strerror(number))

    assert reader.exists(12, send) is found
    assert asked == [(12, 0)]
