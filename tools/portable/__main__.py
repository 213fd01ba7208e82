"""Builds the portable exporter: `make portable` runs python -m tools.portable DIRECTORY."""

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from exporter import __version__
from tools.portable.archive import write_archive, write_single_file
from tools.portable.bill import bill_of_materials, license_list
from tools.portable.interpreter import MACHINES, PYTHON, interpreter, native_architecture
from tools.portable.recipe import PortableError, read_recipe
from tools.portable.tree import PROGRAM, ROOT, build_tree, compile_modules


def _date() -> int:
    """Return the date of everything that is built: SOURCE_DATE_EPOCH, the last commit, or now."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    argv = ("git", "-C", str(ROOT), "log", "-1", "--format=%ct")
    try:
        return int(subprocess.run(argv, capture_output=True, check=True, text=True).stdout)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return int(time.time())


def _wheel(directory: Path, date: int) -> Path:
    """Build the exporter's wheel."""
    constraints = str(ROOT / "constraints.txt")
    environment = {
        **os.environ,
        "SOURCE_DATE_EPOCH": str(date),
        # Older versions of pip read the first one for the build's requirements, newer the second.
        "PIP_CONSTRAINT": constraints,
        "PIP_BUILD_CONSTRAINT": constraints,
    }
    argv = (
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(directory),
        str(ROOT),
    )
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PortableError(f"the wheel cannot be built: {done.stdout}{done.stderr}")
    (wheel,) = directory.glob("*.whl")
    return wheel


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools.portable", description=__doc__)
    parser.add_argument("directory", type=Path, help="where to write archive, file and list")
    parser.add_argument("--architecture", choices=MACHINES, default="amd64")
    parser.add_argument(
        "--newer", action="store_true", help="take other versions of what Debian no longer has"
    )
    return parser


def _build(options: argparse.Namespace) -> None:
    recipe = read_recipe()
    found = interpreter(recipe, options.architecture, newer=options.newer)
    native = found
    if options.architecture != native_architecture():
        native = interpreter(recipe, native_architecture(), newer=options.newer)
    date = _date()
    name = f"{PROGRAM}-{__version__}.linux-{options.architecture}"
    options.directory.mkdir(parents=True, exist_ok=True)
    out = options.directory / name
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary) / name
        tree.mkdir()
        wheel = _wheel(Path(temporary), date)
        build_tree(tree, found, options.architecture, wheel)
        compile_modules(tree, native)
        site = tree / "lib" / PYTHON / "site-packages"
        compiler = importlib.metadata.version("ziglang")
        bill = bill_of_materials(site, found.recipe, compiler, date)
        (tree / "licenses" / "LIST").write_text(license_list(bill), encoding="utf-8")
        out.with_name(f"{name}.cdx.json").write_text(bill, encoding="utf-8")
        shutil.copyfile(out.with_name(f"{name}.cdx.json"), tree / "bom.cdx.json")
        write_archive(tree, out.with_name(f"{name}.tar.gz"), date)
        write_single_file(tree, found, out)
    for path in (out.with_name(f"{name}.tar.gz"), out):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def main() -> int:
    """Build it; return the exit status."""
    try:
        _build(_parser().parse_args())
    except PortableError as error:
        print(f"portable: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
