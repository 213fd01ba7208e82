"""Commands that inspect or repair the cluster, as problems advise them.

All are commands of Pacemaker and pcs, because podman, docker and systemctl bypass Pacemaker.
"""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

STATUS = "pcs status --full"
MOST = 10
"""Names in one command, and similar commands of one problem."""

_CHANGING_VERBS = (
    "clear ",
    "cleanup ",
    "enable ",
    "manage ",
    "meta ",
    "set ",
    "start ",
    "unmaintenance ",
    "unstandby ",
    "update ",
)


def changes_cluster(command: str) -> bool:
    """Whether a command changes the cluster, and so may undo something done on purpose."""
    return any(f" {word}" in f"{command} " for word in _CHANGING_VERBS)


@dataclass(frozen=True, slots=True)
class Command:
    """A command, perhaps about one thing. Those that differ only in the name can be merged."""

    words: str
    """All words before the name."""
    name: str = ""
    """Empty for a command without a name."""
    rest: str = ""
    """All words after the name."""
    takes_several: bool = False
    """One command takes several names."""
    for_many: str = ""
    """The command to use instead if there are many names; empty for none."""

    def text(self, names: Iterable[str] = ()) -> str:
        """Return the command about its name, or about several names."""
        quoted = map(shlex.quote, names or ([self.name] if self.name else []))
        return " ".join(filter(None, (self.words, *quoted, self.rest)))


def merged(commands: Iterable[Command]) -> tuple[str, ...]:
    """Return the texts of commands, each once; merge those that take several names."""
    alike: dict[tuple[str, str], list[Command]] = {}
    for command in dict.fromkeys(commands):
        alike.setdefault((command.words, command.rest), []).append(command)
    texts: list[str] = []
    for found in alike.values():
        first = found[0]
        if len(found) > MOST and first.for_many:
            texts.append(first.for_many)
        elif first.takes_several:
            texts.append(first.text([command.name for command in found]))
        else:
            texts += [command.text() for command in found[:MOST]]
    return tuple(dict.fromkeys(texts))


INSPECT = Command(STATUS)


def fencing_history(node: str) -> Command:
    """Return the command that lists how a node was fenced."""
    return Command("pcs stonith history show", node, for_many="pcs stonith history")


def start_node(node: str) -> Command:
    """Return the command that starts Pacemaker on a node."""
    return Command("pcs cluster start", node, takes_several=True)


def end_standby(node: str) -> Command:
    """Return the command that takes a node out of standby."""
    return Command(
        "pcs node unstandby", node, takes_several=True, for_many="pcs node unstandby --all"
    )


def end_maintenance_of_node(node: str) -> Command:
    """Return the command that takes a node out of maintenance."""
    return Command(
        "pcs node unmaintenance", node, takes_several=True, for_many="pcs node unmaintenance --all"
    )


def enable(resource: str, *, fencing_device: bool = False) -> Command:
    """Return the command that removes the target-role Stopped."""
    words = "pcs stonith enable" if fencing_device else "pcs resource enable"
    return Command(words, resource, takes_several=True)


def cleanup(resource: str, *, fencing_device: bool = False) -> Command:
    """Return the command that clears the failures of a resource."""
    words = "pcs stonith cleanup" if fencing_device else "pcs resource cleanup"
    return Command(words, resource, for_many=STATUS)


def fail_counts(resource: str) -> Command:
    """Return the command that shows the fail-counts of a resource."""
    return Command("pcs resource failcount show", resource, for_many="pcs resource failcount show")


def manage(resource: str) -> Command:
    """Return the command that removes is-managed=false."""
    return Command("pcs resource manage", resource, takes_several=True)


def unset_meta(resource: str, name: str, *, bundle: bool = False) -> Command:
    """Return the command that removes a meta attribute; pcs has another one for bundles."""
    if bundle:
        return Command("pcs resource bundle update", resource, f"meta {name}=")
    return Command("pcs resource meta", resource, f"{name}=")


def clear(resource: str) -> Command:
    """Return the command that removes what a move or a ban left behind."""
    return Command("pcs resource clear", resource)
