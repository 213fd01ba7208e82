"""The parts of `make portable` that need no build."""

import hashlib
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tools.portable.archive import write_archive
from tools.portable.recipe import PortableError, read_recipe
from tools.portable.sources import check

DATE = 1_800_000_000


def test_recipe_has_the_sums_of_both_archives_of_each_source() -> None:
    for source in read_recipe().sources:
        names = sorted(source.sha256)
        assert [".debian.tar." in name for name in names].count(True) == 1
        assert [".orig.tar." in name for name in names].count(True) == 1
        assert {len(found) for found in source.sha256.values()} == {64}


def test_other_versions_are_kept_below_other_names() -> None:
    recipe = read_recipe()
    newer = recipe.at({**recipe.versions, "openssl": "99-1"})
    assert recipe.key("amd64") == read_recipe().key("amd64")
    assert len({recipe.key("amd64"), recipe.key("arm64"), newer.key("amd64")}) == 3


def test_changed_source_is_rejected(tmp_path: Path) -> None:
    (source, *_) = read_recipe().sources
    path = tmp_path / "file"
    path.write_text("right")
    source = replace(source, sha256={"file": hashlib.sha256(b"right").hexdigest()})
    check(source, tmp_path)
    path.write_text("wrong")
    with pytest.raises(PortableError, match="do not use it before you know why"):
        check(source, tmp_path)
    path.unlink()
    with pytest.raises(PortableError, match="its SHA-256 is missing"):
        check(source, tmp_path)


def test_archives_of_equal_files_are_equal(tmp_path: Path) -> None:
    made = []
    for number, names in enumerate((("b", "a"), ("a", "b"))):
        tree = tmp_path / str(number) / "tree"
        tree.mkdir(parents=True)
        for name in names:
            (tree / name).write_text(name)
            (tree / name).chmod(0o600 + 0o077 * number)
            os.utime(tree / name, (number, number))
        (tree / "a").chmod(0o700 + 0o055 * number)
        write_archive(tree, tmp_path / f"{number}.tar.gz", DATE)
        made.append((tmp_path / f"{number}.tar.gz").read_bytes())
    assert made[0] == made[1]
    with tarfile.open(tmp_path / "0.tar.gz") as archive:
        found = [(member.name, member.mode, member.mtime) for member in archive]
    assert found == [("tree", 0o755, DATE), ("tree/a", 0o755, DATE), ("tree/b", 0o644, DATE)]
