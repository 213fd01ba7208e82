"""Starts the exporter in the single file: the module __portable__ of the zip at its end."""

import importlib.machinery
import importlib.util
import sys
import zipimport
from collections.abc import Sequence
from types import ModuleType

import _memory_file  # type: ignore[import-not-found]  # launch.c has it

_ARCHIVE = zipimport.zipimporter(sys.executable)


class ExtensionFinder:
    """Finds extension modules in the zip, and loads them from files in memory."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return where a module is loaded from, if it is an extension module in the zip."""
        del path, target
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            try:
                content = _ARCHIVE.get_data(name.replace(".", "/") + suffix)
            except OSError:
                continue
            # Stays open: glibc takes two files for the same one if their names are the same.
            place = f"/proc/self/fd/{_memory_file.create(content)}"
            loader = importlib.machinery.ExtensionFileLoader(name, place)
            return importlib.util.spec_from_file_location(name, place, loader=loader)
        return None


sys.meta_path.append(ExtensionFinder)

from exporter.service.program import main  # noqa: E402 - needs the finder

sys.exit(main())
