"""Writes Debian's copyright file for a directory of installed distributions: copyright.py SITE."""

import sys
from importlib.metadata import Distribution, distributions

NAME = "pacemaker-bundle-exporter"
HEAD = f"""\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: {NAME}
Comment: the licenses of the libraries are beside them, in
 /usr/lib/{NAME}/lib/python3.*/site-packages/*.dist-info.

Files: *
Copyright: 2026 the authors of {NAME}
License: Apache-2.0

License: Apache-2.0
 The text is in /usr/share/common-licenses/Apache-2.0.
"""


def license_of(library: Distribution) -> str:
    """Return the license that a library declares, in one line."""
    said = library.metadata
    trove = [c.split(" :: ")[-1] for c in said.get_all("Classifier", []) if "License ::" in c]
    first = (*said.get_all("License-Expression", []), *trove, *said.get_all("License", []))
    return next((text.splitlines()[0] for text in first if text), "see there")


def main(site: str) -> None:
    """Print the copyright file."""
    print(HEAD)
    libraries = sorted(distributions(path=[site]), key=lambda library: library.name.lower())
    print("Comment: libraries and their licenses:")
    for library in libraries:
        if library.name != NAME:
            print(f" {library.name} {library.version}: {license_of(library)}")


if __name__ == "__main__":
    main(sys.argv[1])
