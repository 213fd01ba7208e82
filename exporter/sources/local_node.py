"""The local node: finds the name of this machine in the cluster."""

import logging
import math
from dataclasses import replace

from exporter.cluster.observation import Observation
from exporter.cluster.outcome import Failure
from exporter.pacemaker import crm_node
from exporter.sources.source import Source
from exporter.sources.tools import SourceContext

PAUSE = 60.0
"""Seconds to wait after crm_node failed."""

log = logging.getLogger(__name__)


class LocalNodeSource(Source[str, str]):
    """Asks crm_node once for the name of this node: it does not change while Pacemaker runs.

    If crm_node fails, a node with the name of the host is taken.
    """

    name = "local_node"
    command = "crm_node"
    failure_level = logging.DEBUG

    def __init__(self, context: SourceContext) -> None:
        """Args: see Source."""
        super().__init__(context)
        self._due = -math.inf
        self._warned = False

    def forget(self) -> None:
        """Ask again: the node may return with another name."""
        self._fact = None
        self._due = -math.inf

    def due(self, observation: Observation, now: float) -> bool:
        """Whether no node has the name, and the pause after the last try is over."""
        return self._listed(observation) is None and now >= self._due

    def _listed(self, observation: Observation) -> str | None:
        """Return the name that crm_node printed, unless it is not that of a node."""
        nodes = observation.snapshot.nodes
        # Pacemaker lists no nodes just after its start.
        known = not nodes or any(node.name == self._fact for node in nodes)
        return self._fact if known else None

    def ask(self, timeout: float) -> str | Failure:
        """Run crm_node."""
        self._due = self._clock.monotonic() + PAUSE
        return crm_node.ask(self._tools.commands, self._tools.crm_node, timeout)

    def read(self, answer: str | Failure) -> str | Failure:
        """Return the answer: crm_node.ask has parsed it already."""
        return answer

    def add(self, fact: str | None, observation: Observation) -> Observation:
        """Add the name, else that of the host; warn once if neither is known."""
        nodes = observation.snapshot.nodes
        host = self._tools.host_name
        del fact  # it may be a message of crm_node or of the command prefix
        name = self._listed(observation) or crm_node.by_host_name(
            host, (node.name for node in nodes)
        )
        if not name and nodes and not self._warned:
            log.warning("cannot tell which node of the cluster this is: pacemaker_view_dc stays 0")
            self._warned = True
        self._warned = self._warned and not name
        return replace(observation, local_node=name)
