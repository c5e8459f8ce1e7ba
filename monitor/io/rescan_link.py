"""The rescan link: a ROUTER that instruments say hello to, and that carries approved requests to the latest of them.

Its clocks: monotonic time for who is still there, Unix time for the history of a request.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import structlog
import zmq
import zmq.asyncio

from monitor.core import rescan_wire
from monitor.core.axes import ScanGrid
from monitor.core.desk import RescanDesk
from monitor.core.errors import ConfigError, RescanError, WireError
from monitor.core.rescan_wire import Hello, Ping, Pong, Status

SILENCE_S = 15.0
_log = structlog.get_logger(__name__)


class RescanLink:
    """Monitor's end of `eelswatch.rescan/1`. `grid_of` tells the shape of a scan by its id."""

    def __init__(self, endpoint: str, *, desk: RescanDesk, grid_of: Callable[[str], ScanGrid | None]) -> None:
        self.errors: Counter[str] = Counter()
        self._endpoint = endpoint
        self._desk = desk
        self._grid_of = grid_of
        self._client: tuple[bytes, str] | None = None
        self._heard_s = 0.0
        self._socket: zmq.asyncio.Socket | None = None

    @property
    def instrument(self) -> str | None:
        """The name of the instrument that is there now."""
        there = self._client is not None and time.monotonic() - self._heard_s < SILENCE_S
        return self._client[1] if self._client is not None and there else None

    def open(self, context: zmq.asyncio.Context) -> None:
        """Bind; raises ConfigError where the address is taken or none."""
        self._socket = context.socket(zmq.ROUTER)
        self._socket.linger = 200
        # an instrument that comes back under its own identity takes over from its dead connection
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        try:
            self._socket.bind(self._endpoint)
        except zmq.ZMQError as fault:
            self.close()
            raise ConfigError(
                f"rescan link cannot bind to {self._endpoint!r} ({fault}); choose another --rescan"
            ) from fault

    def close(self) -> None:
        """Unbind."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def run(self) -> None:
        """Serve instruments for ever."""
        assert self._socket is not None, "open the link first"
        while True:
            client, *frames = await self._socket.recv_multipart()
            try:
                if len(frames) != 1:
                    raise WireError("frames", f"one frame was due, got {len(frames)}")
                await self._hear(client, rescan_wire.decode_from_instrument(frames[0]))
            except (WireError, RescanError) as fault:
                self.errors[fault.kind if isinstance(fault, WireError) else "state"] += 1
                _log.warning("rescan link message refused", fault=str(fault))

    async def send_waiting(self) -> None:
        """Send approved requests to the instrument, where one is there."""
        for request in self._desk.waiting():
            instrument = self.instrument
            # another caller may have sent it while this one waited for the socket
            if instrument is None or self._desk.get(request.id).state != "approved" or not self._grid_of(request.scan):
                continue
            # the state moves first: a request that was sent may be sent again only after a new hello
            self._desk.sent(request.id, client=instrument, now_ns=time.time_ns())
            await self._send(request.id)

    async def _hear(self, client: bytes, message: Hello | Ping | Status) -> None:
        # a monitor that restarted hears pings of an instrument whose hello went to its predecessor
        known = self._client is not None and self._client[0] == client
        if isinstance(message, Hello) or (self._client is None and isinstance(message, Ping)):
            self._client = client, message.client if isinstance(message, Hello) else "instrument"
            known = True
            _log.info("instrument connected", client=self._client[1])
            for request in self._desk.unacknowledged():
                await self._send(request.id)
        if known:
            self._heard_s = time.monotonic()
        if isinstance(message, Ping):
            await self._reply(client, rescan_wire.encode(Pong()))
        elif isinstance(message, Status):
            self._desk.report(message, now_ns=time.time_ns())
        await self.send_waiting()

    async def _send(self, rescan_id: str) -> None:
        request = self._desk.get(rescan_id)
        grid = self._grid_of(request.scan)
        if grid is not None and self._client is not None:
            await self._reply(self._client[0], rescan_wire.encode(rescan_wire.rescan_message(request, grid)))

    async def _reply(self, client: bytes, frame: bytes) -> None:
        if self._socket is not None:
            await self._socket.send_multipart([client, frame])
