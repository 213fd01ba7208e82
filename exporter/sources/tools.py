"""What sources need: the commands of the cluster, the clock, a timeout and a selection."""

from dataclasses import dataclass

from exporter.cluster.selection import Selection
from exporter.pacemaker.runner import Commands
from exporter.runtime.clock import Clock
from exporter.sbd.files import SbdFiles


@dataclass(frozen=True, slots=True)
class Tools:
    """The command runner, and the paths of the commands on the cluster node."""

    commands: Commands
    host_name: str = ""
    crm_mon: str = "crm_mon"
    cibadmin: str = "cibadmin"
    crm_node: str = "crm_node"
    corosync_cmapctl: str = "corosync-cmapctl"
    corosync_quorumtool: str = "corosync-quorumtool"
    corosync: Commands | None = None
    """Runs the commands of corosync; None if the other runner does."""
    sbd_files: SbdFiles | None = None
    """None where this machine's files may not be those of the cluster node."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What every source needs."""

    tools: Tools
    clock: Clock
    timeout: float
    """Seconds that crm_mon may take."""
    selection: Selection = Selection()  # noqa: RUF009 - it is immutable
