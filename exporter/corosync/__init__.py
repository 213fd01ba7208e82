"""The commands of corosync, and the only readers of what they print."""

from exporter.cluster.outcome import Failure, Outcome
from exporter.pacemaker.runner import Completed

OUTPUT_LIMIT = 4 * 1024 * 1024
"""Maximum bytes of an answer: eight times what 32 nodes with eight links print."""


def text_of(answer: Completed, command: str) -> str | Failure:
    """Return what a command printed, unless it is too much."""
    if len(answer.stdout) > OUTPUT_LIMIT:
        return Failure(Outcome.TOO_LARGE, f"{command} printed more than {OUTPUT_LIMIT} bytes")
    return answer.stdout.decode(errors="replace")
