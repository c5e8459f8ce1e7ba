"""What the service asks of a source, whatever it is connected to: messages of `eelswatch.stream/1`, one at a time.

Law: a source translates and no more. Order, gaps, duplicates, scoring and recording lie behind it, the same for all.
Its clock decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import zmq.asyncio

from monitor.core.wire import Frame


class Source(Protocol):
    """Made without connecting; the service opens it once, receives without end and closes it."""

    def open(self, context: zmq.asyncio.Context) -> None:
        """Connect, on the service's loop; raises ConfigError for an address that is none."""
        ...

    async def settle(self, timeout_s: float) -> None:
        """Wait until nothing more can be lost by not being connected yet, or until the time is up."""
        ...

    async def receive(self) -> Sequence[Frame]:
        """The next message as frames: a JSON header and, for a block, its counts.

        Raises WireError for what cannot be made one: it is counted, and the next call goes on behind it.
        """
        ...

    def close(self) -> None:
        """Disconnect; also called where `open` was not, or failed."""
        ...
