"""Configures apt-get to fetch source packages, with the package sources of this machine."""

import re
from pathlib import Path

_ETC = Path("/etc/apt")
_CONFIGURATION = """
Dir::Etc::SourceList "{directory}/sources.list";
Dir::Etc::SourceParts "{directory}/sources.list.d";
Dir::State::Lists "{directory}/lists";
Dir::Cache "{directory}/cache";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "root";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""
"""Everything that apt-get writes goes below one directory, so it needs no root and leaves the
machine's own configuration and lists alone. What is not here, such as a proxy, stays the machine's.
Root does not become _apt, to whom pytest's directories are closed; hooks are for the real lists."""

_SUITE = re.compile(
    r"(?:(?:old)*stable|testing|bullseye|bookworm|trixie|forky)(?=(?:[-/][\w-]+)?(?:\s|$))"
)
"""The release in the name of a suite of Debian: in `bookworm-security`, for example."""


def write_apt_configuration(directory: Path, release: str = "", etc: Path = _ETC) -> Path:
    """Write the machine's package sources, of either format, as sources of source packages.

    Args:
        directory: for the configuration, and for what apt-get will write.
        release: a release of Debian, if it is not to be the machine's; only the sources of Debian
            itself remain then.
        etc: the machine's configuration.

    """
    parts = directory / "sources.list.d"
    for made in (parts, directory / "lists" / "partial", directory / "cache" / "archives"):
        made.mkdir(parents=True)
    one_line = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    lines = (
        _source_line(line, release)
        for path in one_line
        if path.is_file()
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*deb(-src)?[\s\[]", line)
    )
    text = "".join(f"{line}\n" for line in dict.fromkeys(lines) if line)
    (directory / "sources.list").write_text(text, encoding="utf-8")
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        stanzas = re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip())
        kept = [found for stanza in stanzas if (found := _source_stanza(stanza, release))]
        (parts / path.name).write_text("\n\n".join(kept) + "\n", encoding="utf-8")
    configuration = directory / "apt.conf"
    configuration.write_text(_CONFIGURATION.format(directory=directory), encoding="utf-8")
    return configuration


def _source_line(line: str, release: str) -> str:
    """Return a line of sources.list for source packages; empty if it is not Debian's."""
    line = re.sub(r"^\s*deb(-src)?(?=[\s\[])", "deb-src", line)
    if not release:
        return line
    head = re.match(r"deb-src\s+(?:\[[^]]*\]\s*)?\S+\s+", line)
    if not head or not _SUITE.match(line, head.end()):
        return ""
    return line[: head.end()] + _SUITE.sub(release, line[head.end() :], count=1)


def _source_stanza(stanza: str, release: str) -> str:
    """Return a stanza for source packages; empty if it is not Debian's."""
    stanza = re.sub(r"(?mi)^Types:.*$", "Types: deb-src", stanza)
    if not release:
        return stanza
    suites = re.search(r"(?mi)^Suites:(.*)$", stanza)
    wanted = [suite for suite in suites[1].split() if _SUITE.match(suite)] if suites else []
    if not suites or not wanted:
        return ""
    renamed = " ".join(dict.fromkeys(_SUITE.sub(release, suite, count=1) for suite in wanted))
    return stanza[: suites.start(1)] + " " + renamed + stanza[suites.end(1) :]
