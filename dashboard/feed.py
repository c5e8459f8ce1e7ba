"""The websocket a page feeds on: looks at the live state every 100 ms, sends what is new, never queues.

Law: one message is under way to a page at a time, the next look is taken after it has left. All pages look at the same
moments, so that those which show the same share their messages. Its clock: Unix time.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboard.looks import Looks
from dashboard.state import Seen, Wish, read_wish

LOOK_EVERY_S = 0.1
FIRST_WISH_WITHIN_S = 0.25
SEND_WITHIN_S = 60.0
POLICY_VIOLATION = 1008
LONGEST_CLOSE_REASON = 120


def is_foreign(origin: str | None, host: str | None) -> bool:
    """True where a browser page of another host (or port) asks; programs that send no Origin are not foreign."""
    if origin is None:
        return False
    try:
        return host is None or urlsplit(origin).netloc.lower() != host.lower()
    except ValueError:
        return True


class PageFeed:
    """Feeds one page over one websocket, until either side leaves."""

    def __init__(self, looks: Looks, websocket: WebSocket) -> None:
        self._looks = looks
        self._websocket = websocket
        self._wish = Wish()
        self._wished = asyncio.Event()

    async def run(self) -> None:
        """Serve the page; refuses foreign origins before accepting (HTTP 403)."""
        headers = self._websocket.headers
        if is_foreign(headers.get("origin"), headers.get("host")):
            await self._websocket.close(POLICY_VIOLATION)
            return
        await self._websocket.accept()
        listening = asyncio.create_task(self._listen())
        sending = asyncio.create_task(self._send())
        try:
            done, _ = await asyncio.wait({listening, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
            sending.cancel()
            await asyncio.gather(listening, sending, return_exceptions=True)
        if sending in done:
            sending.result()
        refused = listening.result() if listening in done else None
        if refused is not None:
            await self._websocket.close(POLICY_VIOLATION, refused[:LONGEST_CLOSE_REASON])

    async def _listen(self) -> str | None:
        """Take the page's wishes; returns why it is refused, or None when it left."""
        while True:
            event = await self._websocket.receive()
            if event["type"] == "websocket.disconnect":
                return None
            try:
                self._wish = read_wish(event.get("text"))
                self._wished.set()
            except ValueError as refused:
                return str(refused)

    async def _send(self) -> None:
        """Send what is new until the page is gone. A page that takes nothing for a minute is let go."""
        # A page that comes back says at once which scan it shows; do not send it another one first.
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WISH_WITHIN_S):
                await self._wished.wait()
        seen: Seen | None = None
        while True:
            look, until_next_s = _look_at(time.monotonic())
            message, seen = self._looks.message(look, wish=self._wish, seen=seen, now_ns=time.time_ns())
            if message is not None:
                try:
                    async with asyncio.timeout(SEND_WITHIN_S):
                        await self._websocket.send_bytes(message)
                except (WebSocketDisconnect, TimeoutError):
                    return
                del message
                _, until_next_s = _look_at(time.monotonic())
            await asyncio.sleep(until_next_s)


def _look_at(now_s: float) -> tuple[int, float]:
    """The number of the present look, the same for all pages, and how long it is until the next one."""
    look = int(now_s / LOOK_EVERY_S)
    return look, (look + 1) * LOOK_EVERY_S - now_s
