"""The acquisition side of the stream: a socket that binds, a memory of what was sent, and a ROUTER that resends it.

Wall-clock pacing lives here; not safe to share between threads.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import zmq

from monitor.core import wire
from monitor.core.errors import ConfigError, WireError
from monitor.core.messages import ResendEnded
from monitor.files.curve_keys import KeyPair

RESEND_KEPT_S = 90.0
REPEAT_S = 2.0


@dataclass(slots=True)
class _Sent:
    frames: list[Sequence[wire.Frame]] = field(default_factory=list)
    ended_s: float | None = None


class StreamSender:
    """Sends multipart messages and answers resend requests for what was given to `keep`."""

    def __init__(
        self,
        bind: str,
        *,
        mode: Literal["pub", "push"] = "pub",
        resend: str | None = None,
        curve: KeyPair | None = None,
    ) -> None:
        """With `curve` both addresses are encrypted, for whoever knows its public key."""
        self.endpoint = bind
        self.resend = resend
        self._curve = curve
        self._mode = mode
        self._memory: dict[str, _Sent] = {}

    def open(self) -> None:
        """Bind; `endpoint` and `resend` then name the real ports. Raises ConfigError for a bad or taken address."""
        self._context = zmq.Context()
        self._stream = self._context.socket(zmq.XPUB if self._mode == "pub" else zmq.PUSH)
        self._router = self._context.socket(zmq.ROUTER)
        for socket in (self._stream, self._router):
            socket.set_hwm(0)
            socket.linger = 2000
            if self._curve is not None:
                socket.curve_server = True
                socket.curve_publickey, socket.curve_secretkey = self._curve
        self.endpoint = self._bind(self._stream, self.endpoint)
        self.resend = self._bind(self._router, self.resend) if self.resend is not None else None

    def close(self) -> None:
        """Let go of the addresses, once what is under way is out."""
        self._context.destroy()

    def __enter__(self) -> StreamSender:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_for_monitor(self, timeout_s: float) -> bool:
        """Wait until somebody listens; False where nobody came."""
        flag = zmq.POLLIN if self._mode == "pub" else zmq.POLLOUT
        return bool(self._stream.poll(int(timeout_s * 1000), flag))

    def keep(self, scan: str, frames: Sequence[wire.Frame]) -> None:
        """Remember the next message of `scan` (seq 0, 1, 2 ...) for resending."""
        now_s = time.monotonic()
        for old in [s for s, sent in self._memory.items() if sent.ended_s is not None and sent.ended_s < now_s]:
            del self._memory[old]
        self._memory.setdefault(scan, _Sent()).frames.append(frames)

    def ended(self, scan: str) -> None:
        """`scan` is over: forget it in a while."""
        self._memory[scan].ended_s = time.monotonic() + RESEND_KEPT_S

    def send(self, frames: Sequence[wire.Frame]) -> None:
        """Send one message."""
        self._stream.send_multipart(frames, copy=False)

    def answer_until(self, deadline_s: float) -> None:
        """Answer resend requests until the monotonic time `deadline_s`."""
        while True:
            left_ms = max(0, int((deadline_s - time.monotonic()) * 1000))
            if self.resend is None:
                time.sleep(left_ms / 1000)
                return
            if not self._router.poll(left_ms):
                return
            self._answer(self._router.recv_multipart())

    def _bind(self, socket: zmq.Socket[bytes], endpoint: str) -> str:
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as fault:
            self._context.destroy(linger=0)
            raise ConfigError(f"cannot bind to {endpoint!r} ({fault}); choose another address") from fault
        return socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def _answer(self, frames: list[bytes]) -> None:
        client, *message = frames
        try:
            request = wire.decode_resend_request(message)
        except WireError:
            return
        sent = self._memory.get(request.scan, _Sent()).frames
        missing: list[int] = []
        for first, last in request.ranges:
            stop = len(sent) - 1 if last is None else last
            for seq in range(first, min(stop, len(sent) - 1) + 1):
                self._router.send_multipart([client, *sent[seq]], copy=False)
            missing += range(max(first, len(sent)), min(stop, first + 100_000) + 1)
        self._router.send_multipart([client, *wire.encode(ResendEnded(scan=request.scan, missing=missing))])
