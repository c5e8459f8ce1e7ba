"""A thread that ends the process when a lane is stuck, so that whoever started it can start it again.

Law: a monitor that does nothing must not look healthy. It needs no loop and no lane to be alive; where Python itself
stands still, the service manager misses its signs and ends the process. Its clock is the monotonic one.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress

import structlog

from monitor.core.watch import Watch
from monitor.io.service_manager import ServiceManager

STUCK = 3
"""The exit code of a monitor that was stuck."""
LONGEST_PERIOD_S = 1.0
_log = structlog.get_logger(__name__)


class Watchdog:
    """Checks `watch` a few times within its limit; tells the service manager as long as all is well."""

    def __init__(self, watch: Watch, manager: ServiceManager, *, limit_s: float) -> None:
        patience_s = min(limit_s, manager.watchdog_s if manager.watchdog_s is not None else limit_s)
        self._period_s = min(LONGEST_PERIOD_S, patience_s / 4)
        self._watch = watch
        self._manager = manager
        self._ended = threading.Event()

    def start(self) -> None:
        """Watch from now on."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def end(self) -> None:
        """Watch no longer."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._period_s):
            stuck = self._watch.check(time.monotonic_ns())
            if not stuck:
                self._manager.alive()
                continue
            for each in stuck:
                _log.error("lane stuck", lane=each.lane, silent_s=round(each.silent_s, 1))
            leave(STUCK)


def leave(code: int) -> None:
    """End the process now, whatever its threads are at: a call that never comes back cannot be waited for."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
