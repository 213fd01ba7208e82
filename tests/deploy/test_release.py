"""What `make release` demands and makes, and that all places name the same version."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from exporter import __version__
from tests.support.paths import ROOT


def found(name: str, pattern: str) -> set[str]:
    """The versions in a file."""
    return set(re.findall(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))


def test_commands_of_the_readme_have_this_version() -> None:
    assert found("README.md", r"pacemaker-bundle-exporter[_-](\d+\.\d+\.\d+)") == {__version__}


def test_changelog_begins_with_this_version() -> None:
    first, *_ = re.findall(
        r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert first == __version__


def test_project_takes_the_version_from_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"] == {"path": "exporter/__init__.py"}


# ---- make release ----

PARTS = """
package:
\t@rm -rf dist && mkdir dist && echo one >dist/one.whl
more:
\t@echo two >dist/two.deb
"""
"""Other recipes, because the real ones take a minute."""


def git(tree: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=tree, check=True, capture_output=True)


def release(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", "release", "release_parts=package more"],
        cwd=tree,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A committed project with the real Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (tmp_path / "Makefile").write_text(makefile + PARTS, encoding="utf-8")
    (tmp_path / "exporter").mkdir()
    shutil.copy(ROOT / "exporter/__init__.py", tmp_path / "exporter/__init__.py")
    shutil.copy(ROOT / ".gitignore", tmp_path / ".gitignore")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message=one")
    return tmp_path


def test_release_has_checksums_of_every_part(tree: Path) -> None:
    git(tree, "tag", f"v{__version__}")
    done = release(tree)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tree / "dist").iterdir()} == {"one.whl", "two.deb", "SHA256SUMS"}
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=tree / "dist",
        capture_output=True,
        check=True,
        text=True,
    )
    assert checked.stdout == "one.whl: OK\ntwo.deb: OK\n"


def test_release_needs_the_tag_of_the_version(tree: Path) -> None:
    git(tree, "tag", f"v{__version__}0")
    done = release(tree)
    assert done.returncode != 0
    told = (
        f"make release: this commit has no tag v{__version__}: set it with git tag v{__version__}"
    )
    assert told in done.stderr.splitlines()
    assert not (tree / "dist").exists()


def test_release_needs_a_clean_tree(tree: Path) -> None:
    git(tree, "tag", f"v{__version__}")
    (tree / "new").touch()
    done = release(tree)
    assert done.returncode != 0
    told = "make release: there are uncommitted changes: commit or remove them (git status)"
    assert told in done.stderr.splitlines()
    assert not (tree / "dist").exists()


def test_release_stops_at_a_part_that_fails(tree: Path) -> None:
    with (tree / "Makefile").open("a", encoding="utf-8") as makefile:
        makefile.write("package:\n\t@mkdir dist && false\n")
    git(tree, "commit", "--quiet", "--all", "--message=two")
    git(tree, "tag", f"v{__version__}")
    assert release(tree).returncode != 0
    assert not any((tree / "dist").iterdir())
