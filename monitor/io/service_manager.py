"""What systemd wants to hear of a service of Type=notify: datagrams on the socket that it names (sd_notify(3)).

Law: nobody listening is no fault of the monitor; it goes on, and says so once.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

import structlog

TIMEOUT_S = 1.0
_log = structlog.get_logger(__name__)


class ServiceManager:
    """Tells the service manager how the monitor is; `address` None: there is none, and nothing is told."""

    def __init__(self, address: str | None, *, watchdog_s: float | None = None) -> None:
        """`watchdog_s`: so long the manager waits for a sign of life before it acts; None: it does not wait."""
        self.watchdog_s = watchdog_s
        self._address = address
        self._told_fault = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ServiceManager:
        """As NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID say; values of another form count as absent."""
        address, usec = environment.get("NOTIFY_SOCKET", ""), environment.get("WATCHDOG_USEC", "")
        if address[:1] not in ("/", "@") or not hasattr(socket, "AF_UNIX"):
            return cls(None)
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watched = ours and usec.isdecimal() and int(usec) > 0
        return cls(address, watchdog_s=int(usec) / 1e6 if watched else None)

    def ready(self) -> None:
        """The page can be opened."""
        self._tell("READY=1")

    def alive(self) -> None:
        """No lane is stuck."""
        if self.watchdog_s is not None:
            self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """The monitor is about to end, as it was asked to."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if self._address is None:
            return
        # a leading @ stands for the zero byte of an address that is no file
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
                link.settimeout(TIMEOUT_S)
                link.sendto(state.encode(), address)
        except OSError as fault:
            if not self._told_fault:
                self._told_fault = True
                _log.warning("service manager not told", socket=self._address, fault=str(fault))
