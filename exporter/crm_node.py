"""crm_node: what the cluster calls this machine."""

from collections.abc import Iterable

from exporter.command import Commands, last_line
from exporter.errors import Outcome, PollError


def ask(commands: Commands, path: str, timeout: float) -> str:
    """Return this node's name in the cluster.

    Raises:
        PollError: crm_node could not be run, or does not know.

    """
    completed = commands.run((path, "--name"), timeout)
    name = completed.stdout.decode(errors="replace").strip()
    if completed.status != 0 or not name:
        reason = last_line(completed.stderr)
        raise PollError(Outcome.EXIT_STATUS, f"crm_node failed ({completed.how}): {reason}")
    return name


def by_host_name(host_name: str, nodes: Iterable[str]) -> str:
    """Return the node that has the name of this machine, with or without its domain."""
    known = set(nodes)
    return next((n for n in (host_name, host_name.partition(".")[0]) if n in known), "")
