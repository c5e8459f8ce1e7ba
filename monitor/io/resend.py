"""The resend client: asks a source's ROUTER for messages and hands them on as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator

import zmq
import zmq.asyncio

from monitor.core import wire
from monitor.core.messages import ResendRequest
from monitor.core.recovery import Ranges
from monitor.io.curve import CurveClient

SILENCE_MS = 5000


async def fetch(
    context: zmq.asyncio.Context, endpoint: str, scan: str, ranges: Ranges, *, curve: CurveClient | None = None
) -> AsyncIterator[list[bytes]]:
    """Ask once and yield each message of the answer, to its resend_end; encrypted where `curve` is given.

    Raises TimeoutError where the source falls silent before, zmq.ZMQError for an endpoint that is none.
    """
    socket = context.socket(zmq.DEALER)
    socket.set_hwm(0)
    socket.linger = 0
    if curve is not None:
        curve.secure(socket)
    try:
        socket.connect(endpoint)
        await socket.send_multipart(wire.encode(ResendRequest(scan=scan, ranges=ranges)))
        while await socket.poll(SILENCE_MS):
            frames = await socket.recv_multipart()
            if wire.decode_resend_end(frames) is not None:
                return
            yield frames
        raise TimeoutError(f"{endpoint} has been silent for {SILENCE_MS / 1000:g} s")
    finally:
        socket.close()
