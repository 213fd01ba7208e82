"""What is known of SBD on this node."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sbd:
    """SBD on this node: its configuration and its daemon."""

    devices: tuple[str, ...] | None = None
    """Devices in SBD_DEVICE: none where only the watchdog is used. None without a file."""
    running: bool | None = None
    """The daemon lives. None where SBD is not installed: there is neither its file nor its pid."""
