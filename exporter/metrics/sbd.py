"""Metrics of SBD on this node."""

from exporter.cluster.sbd import Sbd
from exporter.judgement.judge import Judgement
from exporter.metrics.declaration import Declarations

SBD: Declarations[Judgement] = Declarations()

HERE = SBD.for_part(lambda judgement: judgement.observation.fact(Sbd) or Sbd())

HERE.value(
    "sbd_devices_configured",
    "Devices in SBD_DEVICE of this node's /etc/sysconfig/sbd or /etc/default/sbd; 0 where SBD uses"
    " the watchdog only. Absent without such a file, while it cannot be read, and with"
    " --command.prefix.",
    lambda sbd: None if sbd.devices is None else len(sbd.devices),
)
HERE.value(
    "sbd_running",
    "1 when /run/sbd.pid names a process that exists. Absent where SBD has neither this file nor a"
    " configuration, while one of them cannot be read, and with --command.prefix.",
    lambda sbd: sbd.running,
)
