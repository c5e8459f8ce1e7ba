"""What the running service says of itself that belongs to no scan. One writer, the service's loop."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Protocol, runtime_checkable

from monitor.core.views import ResendCounts
from monitor.io.source import Source

DISK_LOOKED_AT_S = 5.0


@runtime_checkable
class Queueing(Protocol):
    """A source that can say how many messages it holds."""

    @property
    def waiting(self) -> int:
        """Messages that have arrived and were not handed on yet."""
        ...


class Vitals:
    """Resends, messages that wait in the source, room on the disk of the data folder."""

    def __init__(self, folder: Path, source: Source) -> None:
        self.resends_asked = 0
        self.resends_answered = 0
        self._folder = folder
        self._source = source
        self._free_bytes: int | None = None
        self._looked_s: float | None = None

    @property
    def resends(self) -> ResendCounts:
        """Since the start of the monitor."""
        return ResendCounts(asked=self.resends_asked, answered=self.resends_answered)

    @property
    def messages_waiting(self) -> int | None:
        """Messages that wait in the source; None where it cannot say."""
        return self._source.waiting if isinstance(self._source, Queueing) else None

    @property
    def disk_free_bytes(self) -> int | None:
        """Room in the data folder, looked at every few seconds; None where it cannot be had."""
        now_s = time.monotonic()
        if self._looked_s is None or now_s - self._looked_s >= DISK_LOOKED_AT_S:
            self._looked_s = now_s
            try:
                self._free_bytes = shutil.disk_usage(self._folder).free
            except OSError:
                self._free_bytes = None
        return self._free_bytes
