"""Asks crm_node for the name of the local node."""

from collections.abc import Iterable

from exporter.cluster.outcome import Failure, Outcome
from exporter.pacemaker.runner import Commands, last_line

NAME_LIMIT = 1024
"""Maximum bytes of a node name: four times the maximum length of a host name."""


def ask(commands: Commands, path: str, timeout: float) -> str | Failure:
    """Return the local node's name in the cluster, or why crm_node did not print it.

    Args:
        commands: runs the command.
        path: crm_node.
        timeout: seconds.

    """
    answer = commands.run((path, "--name"), timeout)
    if isinstance(answer, Failure):
        return answer
    if len(answer.stdout) > NAME_LIMIT:
        size = len(answer.stdout)
        return Failure(Outcome.MALFORMED, f"crm_node printed {size} bytes, which is not a name")
    name = answer.stdout.decode(errors="replace").strip()
    # Several lines are not a name, but messages of crm_node or of the command prefix.
    if answer.status != 0 or not name or not name.isprintable():
        reason = last_line(answer.stderr)
        return Failure(Outcome.EXIT_STATUS, f"crm_node failed ({answer.ending}): {reason}")
    return name


def by_host_name(host_name: str, nodes: Iterable[str]) -> str:
    """Return the node named like the host, with or without its domain, or ""."""
    known = set(nodes)
    return next((n for n in (host_name, host_name.partition(".")[0]) if n in known), "")
