"""A DECTRIS detector as a source: Stream V2 images, each summed to the spectrum of one pixel.

Pixels follow row by row in the order of the images' numbers. What the detector does not know, the shape of the scan and
its energies, is given.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import zmq
import zmq.asyncio

from monitor.core.axes import EnergyAxis, Region, ScanGrid
from monitor.core.errors import ConfigError, WireError
from monitor.core.readouts import spectrum_of
from monitor.core.series import Messages, SeriesScans
from monitor.core.wire import Frame
from monitor.io.dectris_array import MAX_IMAGE_BYTES
from monitor.io.dectris_message import SeriesImage, SeriesStart, decode

PREFIX = "dectris+"
QUEUE = 64
"""Messages; the detector's own queue holds what this one cannot."""
BATCH = 16
"""Messages translated in one go where so many have arrived: a change of threads costs as much as a small image."""


class DectrisSource:
    """Pulls from `dectris+tcp://HOST:31001` (see `monitor.io.source.Source`)."""

    def __init__(
        self, endpoint: str, *, grid: ScanGrid, offset_ev: float, step_ev: float, detector: Region | None
    ) -> None:
        """Energies are those of the detector's columns, `offset_ev` of column 0; `detector` None sums all rows."""
        self.endpoint = endpoint
        self._detector = detector
        first = EnergyAxis(offset_ev=offset_ev, step_ev=step_ev, size=1).at(detector.col0 if detector else 0)
        self._scans = SeriesScans(grid=grid, offset_ev=float(first), step_ev=step_ev)
        self._due: deque[Sequence[Frame] | WireError] = deque()
        self._socket: zmq.asyncio.Socket | None = None

    def open(self, context: zmq.asyncio.Context) -> None:
        """Connect; raises ConfigError for an address that is none."""
        socket = context.socket(zmq.PULL)
        socket.set_hwm(QUEUE)
        socket.linger = 0
        socket.maxmsgsize = 2 * MAX_IMAGE_BYTES
        try:
            socket.connect(self.endpoint.removeprefix(PREFIX))
        except zmq.ZMQError as fault:
            socket.close()
            raise ConfigError(
                f"source {self.endpoint!r} cannot be connected to ({fault}); wanted dectris+tcp://HOST:31001"
            ) from fault
        self._socket = socket

    async def settle(self, timeout_s: float) -> None:
        """Nothing to wait for: the detector keeps its messages until somebody pulls."""

    async def receive(self) -> Sequence[Frame]:
        """The next message; raises WireError for one of the detector's that cannot be made any."""
        assert self._socket is not None, "open the source first"
        while not self._due:
            arrived = [await self._socket.recv_multipart()]
            with suppress(zmq.Again):
                while len(arrived) < BATCH:
                    arrived.append(await self._socket.recv_multipart(zmq.NOBLOCK))
            # off the loop: unpacking a large image takes as long as many messages do
            self._due.extend(await asyncio.to_thread(self._translate_all, arrived))
        due = self._due.popleft()
        if isinstance(due, WireError):
            raise due
        return due

    @property
    def waiting(self) -> int:
        """Messages translated and not handed on yet."""
        return len(self._due)

    def close(self) -> None:
        """Disconnect."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _translate_all(self, arrived: Sequence[Sequence[bytes]]) -> list[Sequence[Frame] | WireError]:
        due: list[Sequence[Frame] | WireError] = []
        for frames in arrived:
            try:
                due += self._translate(frames)
            except WireError as fault:
                due.append(fault)
        return due

    def _translate(self, frames: Sequence[bytes]) -> Messages:
        if len(frames) != 1:
            raise WireError(
                "frames", f"message of {len(frames)} frames, Stream V2 has one; set the stream's format to cbor"
            )
        message, t_ns = decode(frames[0]), time.time_ns()
        scan = message.unique_id
        if isinstance(message, SeriesStart):
            self._scans.start(scan, images=message.images)
            return []
        if not isinstance(message, SeriesImage):
            return self._scans.end(scan, t_ns=t_ns)
        try:
            spectrum = spectrum_of(message.array.read(self._detector))
        except WireError as fault:
            raise WireError(fault.kind, f"image {message.number}: {fault}", scan=scan) from None
        title = f"series {message.series}"
        return self._scans.image(scan, number=message.number, spectrum=spectrum, title=title, t_ns=t_ns)
