"""Addresses of the HTTP server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address to listen on. An empty host means all addresses, IPv4 and IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return the address as on the command line."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
