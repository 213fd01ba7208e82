"""The program prints the same under every locale, even a missing one."""

import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.harness import see
from tests.support.model.states import STATES

pytestmark = pytest.mark.real

MADE = {"tr_TR.UTF-8": "UTF-8", "ja_JP.UTF-8": "UTF-8", "ja_JP.EUC-JP": "EUC-JP"}
LOCALES = [*MADE, "C", "POSIX", "xx_YY"]
NODE = "münchen-€İı"
"""There is no € in EUC-JP, and Turkish has its own small and capital i."""


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Locales made by the test, as the machine may have none."""
    directory = tmp_path_factory.mktemp("locales")
    with ExitStack() as stack:
        making = [
            stack.enter_context(
                subprocess.Popen(
                    # By its path: a mere name would go to the machine's own locales.
                    [
                        *(see.need("localedef"), f"--inputfile={name.partition('.')[0]}"),
                        *(f"--charmap={charset}", str(directory / name)),
                    ],
                )
            )
            for name, charset in MADE.items()
        ]
        assert [process.wait(120) for process in making] == [0] * len(making)
    return directory


@pytest.fixture(scope="module")
def cib(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cib") / "cib.xml"
    text = STATES["healthy"].xml().replace('"controller-0"', f'"{NODE}"')
    path.write_text(text, encoding="utf-8")
    return path


class Under:
    """The program under a locale."""

    def __init__(self, locales: Path, cib: Path, name: str) -> None:
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("LC_", "LANG", "PYTHONIOENCODING", "PYTHONUTF8"))
        }
        self._environment = {
            **inherited,
            "LANG": name,
            "LOCPATH": str(locales),
            "CIB_file": str(cib),
        }

    def run(self, *words: str) -> tuple[bytes, str]:
        """Return what it prints on standard output and on standard error."""
        ended = subprocess.run(
            [sys.executable, "-m", "exporter", *words],
            env=self._environment,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout, ended.stderr.decode("ascii")


def _metrics(page: bytes) -> list[bytes]:
    return [line for line in page.splitlines() if b"pacemaker_exporter_" not in line]


def _tables(text: str) -> list[str]:
    """Return the lines of a page without ages."""
    return [line for line in text.splitlines() if " ago" not in line]


@pytest.fixture(scope="module")
def usual(locales: Path, cib: Path) -> tuple[list[bytes], list[str]]:
    under = Under(locales, cib, "C.UTF-8")
    return _metrics(under.run("--once")[0]), _tables(under.run("show")[0].decode())


@pytest.mark.parametrize("name", LOCALES)
def test_page_is_identical_in_every_locale_and_the_log_has_the_time(
    locales: Path, cib: Path, usual: tuple[list[bytes], list[str]], name: str
) -> None:
    page, log = Under(locales, cib, name).run("--once", "--log.level=debug")
    assert _metrics(page) == usual[0]
    assert f'node="{NODE}"'.encode() in page
    (polled,) = re.findall(r"^ts=(\S+) level=debug msg=polled ", log, re.MULTILINE)
    assert abs(datetime.fromisoformat(polled).timestamp() - time.time()) < 60


@pytest.mark.parametrize("name", ["tr_TR.UTF-8", "ja_JP.EUC-JP", "C", "xx_YY"])
def test_show_is_the_same_in_every_locale_within_its_encoding(
    locales: Path, cib: Path, usual: tuple[list[bytes], list[str]], name: str
) -> None:
    encoding = MADE.get(name, "UTF-8")
    shown = Under(locales, cib, name).run("show")[0].decode(encoding)
    own = NODE.encode(encoding, "backslashreplace").decode(encoding)
    assert own in shown
    found, expected = (
        [re.sub(r"\s+", " ", line.replace(node, "NODE")) for line in _tables(text)]
        for node, text in ((own, shown), (NODE, "\n".join(usual[1])))
    )
    assert found == expected
