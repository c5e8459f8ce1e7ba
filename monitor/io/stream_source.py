"""The ZeroMQ source: frames as they arrive, nothing read into them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal

import structlog
import zmq
import zmq.asyncio
from zmq.utils.monitor import parse_monitor_message

from monitor.core.errors import ConfigError
from monitor.io.curve import CurveClient

Mode = Literal["sub", "pull"]
PULL_QUEUE = 64
"""Messages."""
_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
_log = structlog.get_logger(__name__)


class StreamSource:
    """Connects to where a sender binds (see `monitor.io.source.Source`). What has arrived is never dropped here."""

    def __init__(self, endpoint: str, mode: Mode, curve: CurveClient | None = None) -> None:
        self.endpoint = endpoint
        self._mode: Mode = mode
        self._curve = curve
        self._socket: zmq.asyncio.Socket | None = None

    def open(self, context: zmq.asyncio.Context) -> None:
        """Connect; raises ConfigError for an address that is none."""
        socket = context.socket(zmq.SUB if self._mode == "sub" else zmq.PULL)
        # a pushing source is held back when we cannot follow; a publisher would drop, so its messages queue up here
        socket.set_hwm(0 if self._mode == "sub" else PULL_QUEUE)
        socket.linger = 0
        if self._mode == "sub":
            socket.subscribe(b"")
        if self._curve is not None:
            self._curve.secure(socket)
        self._handshakes = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | _REFUSED)
        try:
            socket.connect(self.endpoint)
        except zmq.ZMQError as fault:
            self._forget_handshakes(socket)
            socket.close()
            raise ConfigError(
                f"source {self.endpoint!r} cannot be connected to ({fault}); wanted an address such as tcp://host:5555"
            ) from fault
        self._socket = socket
        self._connected = asyncio.Event()
        self._watching = asyncio.create_task(self._watch())

    async def settle(self, timeout_s: float) -> None:
        """Wait until the sender is connected, so that nothing it publishes from now on is missed, or the time is up."""
        assert self._socket is not None, "open the source first"
        with suppress(TimeoutError):
            await asyncio.wait_for(self._connected.wait(), timeout_s)

    async def receive(self) -> list[bytes]:
        """The next multipart message."""
        assert self._socket is not None, "open the source first"
        return await self._socket.recv_multipart()

    def close(self) -> None:
        """Disconnect; messages not yet received are left to a resend."""
        if self._socket is not None:
            self._watching.cancel()
            self._forget_handshakes(self._socket)
            self._socket.close()
            self._socket = None

    async def _watch(self) -> None:
        """Say once when the sender turns us away: ZeroMQ tries again without end and tells nobody."""
        told = False
        while True:
            event = parse_monitor_message(await self._handshakes.recv_multipart())["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                told = False
                self._connected.set()
            elif not told:
                told = True
                _log.warning("source refused the handshake; do the keys fit?", source=self.endpoint)

    def _forget_handshakes(self, socket: zmq.asyncio.Socket) -> None:
        socket.disable_monitor()
        self._handshakes.close()
