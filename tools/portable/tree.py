"""The directory that runs where it is unpacked: interpreter, libraries, exporter and documents.

- `pacemaker-bundle-exporter` starts the exporter.
- `bin/python3.13` is the interpreter.
- `lib/python3.13/` has its modules; the exporter and its libraries are in site-packages.
- `licenses/` has the licenses of all of these, and a list.
- `share/` has man page, completions, unit, rules, dashboards and runbooks.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from tools.portable.interpreter import MACHINES, PYTHON, Interpreter, native_architecture
from tools.portable.recipe import DIRECTORY, PortableError

ROOT = Path(__file__).parents[2]
PROGRAM = "pacemaker-bundle-exporter"

UNUSED_MODULES = (
    *("__phello__", "_aix_support.py", "_android_support.py", "_apple_support.py"),
    *("_ios_support.py", "_osx_support.py", "_pyrepl", "antigravity.py", "bdb.py", "cProfile.py"),
    *("cmd.py", "code.py", "codeop.py", "curses", "dbm", "doctest.py", "ensurepip"),
    *("fileinput.py", "ftplib.py", "imaplib.py", "mailbox.py", "modulefinder.py", "netrc.py"),
    *("optparse.py", "pdb.py", "pickletools.py", "plistlib.py", "poplib.py", "profile.py"),
    *("pstats.py", "pyclbr.py", "pydoc.py", "pydoc_data", "rlcompleter.py", "sched.py"),
    *("shelve.py", "smtplib.py", "sqlite3", "sre_*.py", "symtable.py", "tabnanny.py", "this.py"),
    *("tkinter", "trace.py", "turtle.py", "turtledemo", "unittest", "venv", "wave.py"),
    *("tomllib", "webbrowser.py", "xml", "xmlrpc", "zipapp.py", "zoneinfo"),
    # Instead of these there are modules in C.
    *("_pydatetime.py", "_pydecimal.py", "_pyio.py"),
    # Parts of encodings, ctypes and multiprocessing.
    *("mac_*.py", "macholib", "managers.py", "pool.py", "shared_memory.py", "sharedctypes.py"),
)
"""Modules of Python that neither the exporter nor its libraries import: see the tests."""
UNUSED_LIBRARIES = ("markdown-it-py", "mdurl", "Pygments")
"""Rich imports them only to show source code and Markdown."""
UNUSED_FILES = (
    *("lxml/includes", "lxml/isoschematron", "lxml/html", "lxml/objectify*", "lxml/sax*"),
    *("lxml/*.h", "lxml/*.pxd", "lxml/*.pxi", "lxml/*.pyx", "lxml/_difflib*", "lxml/builder.*.so"),
    *("*/*.c", "*/*.pyx", "*/*.pxd", "*/*.pyi", "*/py.typed", "httptools/parser/*.pyx"),
    *("httptools/parser/*.pxd", "bin", "*.dist-info/RECORD", "*.dist-info/REQUESTED"),
    "*.dist-info/direct_url.json",
)


def build_tree(into: Path, interpreter: Interpreter, architecture: str, wheel: Path) -> None:
    """Create the directory.

    Args:
        into: the directory, which must not exist.
        interpreter: for the architecture.
        architecture: a key of MACHINES.
        wheel: of the exporter.

    Raises:
        PortableError: the libraries cannot be installed, or a license is missing.

    """
    modules = into / "lib" / PYTHON
    ignore = shutil.ignore_patterns(*UNUSED_MODULES)
    shutil.copytree(interpreter.modules, modules, ignore=ignore)
    # Without this directory, where extension modules would be, Python warns.
    (modules / "lib-dynload").mkdir()
    (modules / "lib-dynload" / "README").write_text("All modules are in the program.\n")
    (into / "bin").mkdir()
    shutil.copy2(interpreter.program, into / "bin" / PYTHON)
    shutil.copytree(interpreter.licenses, into / "licenses")
    site = modules / "site-packages"
    _install(wheel, site, architecture)
    shutil.move(site / "share", into / "share")
    _move_licenses(site, into / "licenses")
    for pattern in UNUSED_FILES:
        for path in list(site.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if architecture == native_architecture():  # strip knows only this machine's
        _run("strip", "--strip-unneeded", *map(str, site.rglob("*.so")))
    shutil.copy2(DIRECTORY / "launcher.sh", into / PROGRAM)
    for name in ("LICENSE", "README.md", "CHANGELOG.md"):
        shutil.copyfile(ROOT / name, into / name)


def _install(wheel: Path, site: Path, architecture: str) -> None:
    """Install the exporter and its libraries for another Python than this one."""
    argv = (
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-compile", "--target", str(site), "--only-binary", ":all:"),
        *("--platform", f"manylinux2014_{MACHINES[architecture]}", "--implementation", "cp"),
        *("--python-version", PYTHON.removeprefix("python").replace(".", "")),
        *("--constraint", str(ROOT / "constraints.txt"), str(wheel)),
    )
    _run(*argv)
    for library in distributions(path=[str(site)]):
        if library.name in UNUSED_LIBRARIES:
            for file in library.files or ():
                Path(str(library.locate_file(file))).unlink(missing_ok=True)
    for directory, _, _ in os.walk(site, topdown=False):
        if not any(Path(directory).iterdir()):
            Path(directory).rmdir()


def libraries(site: Path) -> Iterator[Distribution]:
    """Yield the installed libraries by name, the exporter among them."""
    yield from sorted(distributions(path=[str(site)]), key=lambda found: found.name.lower())


def _move_licenses(site: Path, licenses: Path) -> None:
    """Move the licenses of the libraries to the others."""
    for library in libraries(site):
        texts = [
            Path(str(library.locate_file(file)))
            for file in library.files or ()
            if ".dist-info/" in str(file)
            and any(word in file.name.upper() for word in ("LICEN", "COPYING", "NOTICE", "AUTHORS"))
        ]
        if not texts:
            raise PortableError(f"{library.name} {library.version}: its wheel has no license")
        into = licenses / library.name
        into.mkdir()
        for text in texts:
            shutil.move(text, into / text.name)
    for directory in site.glob("*.dist-info/*"):
        if directory.is_dir() and not any(path.is_file() for path in directory.rglob("*")):
            shutil.rmtree(directory)


def _run(*argv: str, **environment: str) -> None:
    done = subprocess.run(
        argv, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PortableError(f"{' '.join(argv)} failed: {(done.stdout + done.stderr).strip()}")


def compile_modules(into: Path, native: Interpreter) -> None:
    """Compile all modules, so that the exporter starts fast where it may not write."""
    argv = (str(native.program), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash")
    _run(*argv, "-s", str(into), str(into / "lib"), PYTHONHOME=str(native.directory))
