"""The sources of source packages, from the package sources of a machine."""

from pathlib import Path

from tools.debian_sources import write_apt_configuration

LIST = """\
# deb-src is off
deb [signed-by=/k.gpg] http://mirror.example.org/debian bookworm main contrib
deb http://mirror.example.org/debian-security bookworm-security main
deb-src http://mirror.example.org/debian stable/updates main
deb https://packages.example.org/apt cloud-bookworm main
"""
STANZAS = """\
Types: deb
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /k.gpg

Types: deb
URIs: https://node.example.org
Suites: nodistro
Components: main
"""


def rewritten(tmp_path: Path, release: str) -> tuple[list[str], str]:
    etc, made = tmp_path / "etc", tmp_path / "made"
    (etc / "sources.list.d").mkdir(parents=True)
    (etc / "sources.list").write_text(LIST)
    (etc / "sources.list.d" / "debian.sources").write_text(STANZAS)
    write_apt_configuration(made, release, etc)
    stanzas = (made / "sources.list.d" / "debian.sources").read_text()
    return (made / "sources.list").read_text().splitlines(), stanzas


def test_sources_of_another_release_are_those_of_debian_alone(tmp_path: Path) -> None:
    lines, stanzas = rewritten(tmp_path, "trixie")
    assert lines == [
        "deb-src [signed-by=/k.gpg] http://mirror.example.org/debian trixie main contrib",
        "deb-src http://mirror.example.org/debian-security trixie-security main",
        "deb-src http://mirror.example.org/debian trixie/updates main",
    ]
    assert stanzas == (
        "Types: deb-src\nURIs: http://mirror.example.org/debian\nSuites: trixie trixie-updates\n"
        "Components: main\nSigned-By: /k.gpg\n"
    )


def test_sources_of_the_same_release_are_all_kept(tmp_path: Path) -> None:
    lines, stanzas = rewritten(tmp_path, "")
    assert lines[-1] == "deb-src https://packages.example.org/apt cloud-bookworm main"
    assert len(lines) == 4
    assert stanzas == STANZAS.replace("Types: deb", "Types: deb-src")
