"""The ZeroMQ source: frames as they arrive, nothing read into them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal

import zmq
import zmq.asyncio

from monitor.core.errors import ConfigError

Mode = Literal["sub", "pull"]
PULL_QUEUE = 64
"""Messages."""


class StreamSource:
    """Connects to where a sender binds. What has arrived is never dropped here."""

    def __init__(self, endpoint: str, mode: Mode) -> None:
        self.endpoint = endpoint
        self._mode: Mode = mode
        self._socket: zmq.asyncio.Socket | None = None

    def open(self, context: zmq.asyncio.Context) -> None:
        """Connect; raises ConfigError for an address that is none."""
        socket = context.socket(zmq.SUB if self._mode == "sub" else zmq.PULL)
        # a pushing source is held back when we cannot follow; a publisher would drop, so its messages queue up here
        socket.set_hwm(0 if self._mode == "sub" else PULL_QUEUE)
        socket.linger = 0
        if self._mode == "sub":
            socket.subscribe(b"")
        self._handshake = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        try:
            socket.connect(self.endpoint)
        except zmq.ZMQError as fault:
            self._forget_handshake(socket)
            socket.close()
            raise ConfigError(
                f"source {self.endpoint!r} cannot be connected to ({fault}); wanted an address such as tcp://host:5555"
            ) from fault
        self._socket = socket

    async def settle(self, timeout_s: float) -> None:
        """Wait until the sender is connected, so that nothing it publishes from now on is missed, or the time is up."""
        assert self._socket is not None, "open the source first"
        with suppress(TimeoutError):
            await asyncio.wait_for(self._handshake.poll(), timeout_s)
        self._forget_handshake(self._socket)

    async def receive(self) -> list[bytes]:
        """The next multipart message."""
        assert self._socket is not None, "open the source first"
        return await self._socket.recv_multipart()

    def close(self) -> None:
        """Disconnect; messages not yet received are left to a resend."""
        if self._socket is not None:
            self._forget_handshake(self._socket)
            self._socket.close()
            self._socket = None

    def _forget_handshake(self, socket: zmq.asyncio.Socket) -> None:
        socket.disable_monitor()
        self._handshake.close()
