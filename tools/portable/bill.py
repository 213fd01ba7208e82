"""The list of what the portable exporter contains, as CycloneDX JSON and as text."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from lxml import etree

from tools.portable.recipe import Recipe, Source
from tools.portable.tree import PROGRAM, libraries


def bill_of_materials(site: Path, recipe: Recipe, compiler: str, date: int) -> str:
    """Return the list as CycloneDX 1.6 in JSON.

    Args:
        site: the directory with the libraries and the exporter.
        recipe: the sources of the interpreter.
        compiler: the version of zig, whose runtime library is in the program.
        date: the date of the list, in seconds.

    """
    found = list(libraries(site))
    (exporter,) = (library for library in found if library.name == PROGRAM)
    components = [
        *map(_source_component, recipe.sources),
        _component("pypi", "ziglang", compiler, "MIT"),
        *(_library_component(library) for library in found if library is not exporter),
        # All wheels of one version of lxml contain the same versions of these.
        _component("generic", "libxml2", _version(etree.LIBXML_COMPILED_VERSION), "MIT"),
        _component("generic", "libxslt", _version(etree.LIBXSLT_COMPILED_VERSION), "MIT"),
    ]
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(date, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {**_library_component(exporter), "type": "application"},
        },
        "components": components,
        "dependencies": [
            {
                "ref": _library_component(exporter)["bom-ref"],
                "dependsOn": sorted(component["bom-ref"] for component in components),
            }
        ],
    }
    return json.dumps(content, indent=2) + "\n"


def _version(numbers: tuple[int, int, int]) -> str:
    return ".".join(map(str, numbers))


def license_list(bill: str) -> str:
    """Return the components and their licenses as text."""
    content = json.loads(bill)
    lines = (
        f"{component['name']} {component['version']}: {_license_text(component['licenses'])}"
        for component in (content["metadata"]["component"], *content["components"])
    )
    return (
        "These are the components and their licenses. The texts are beside this file.\n\n"
        + "\n".join(lines)
        + "\n"
    )


def _license_text(licenses: list[dict[str, Any]]) -> str:
    (entry,) = licenses
    return str(entry.get("expression") or entry["license"]["name"])


def _source_component(source: Source) -> Mapping[str, Any]:
    made = _component("deb", source.package, source.version, source.license)
    hashes = [
        {"alg": "SHA-256", "content": sum_}
        for name, sum_ in source.sha256.items()
        if ".orig.tar." in name
    ]
    return {**made, "hashes": hashes} if hashes else made


def _library_component(library: Distribution) -> Mapping[str, Any]:
    # Typed as a Protocol without get_all's values.
    said = cast("Message", library.metadata)
    expression = said.get("License-Expression")
    if expression:
        return _component("pypi", library.name, library.version, str(expression))
    named = next(_declared(said), "see the text")
    made = _component("pypi", library.name, library.version, "")
    return {**made, "licenses": [{"license": {"name": named}}]}


def _declared(said: Message) -> Iterator[str]:
    for classifier in said.get_all("Classifier", []):
        if classifier.startswith("License ::"):
            yield classifier.rpartition(" :: ")[2]
    if text := said.get("License"):
        yield str(text).splitlines()[0]


def _component(kind: str, name: str, version: str, expression: str) -> dict[str, Any]:
    name_in_url = f"debian/{name}" if kind == "deb" else name.lower().replace("_", "-")
    qualifiers = "?arch=source" if kind == "deb" else ""
    purl = f"pkg:{kind}/{name_in_url}@{quote(version, safe='.-~')}{qualifiers}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "licenses": [{"expression": expression}],
        "purl": purl,
    }
