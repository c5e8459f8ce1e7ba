"""A page without a browser: hears on the websocket what a page hears, and notes when each row became final."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import msgspec
import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from monitor.core.frame import decode_frame


class _Entry(msgspec.Struct):
    scan: str
    shape: tuple[int, int]
    rows: list[int]
    layers: list[str]
    provisional: list[bool]


class PageListener:
    """Listens in a thread of its own, from entering to leaving."""

    def __init__(self, url: str) -> None:
        """`url` is that of the page."""
        self._address = url.replace("http", "ws", 1) + "ws"
        self._final_s: dict[str, dict[int, float]] = {}
        self._thread = threading.Thread(target=self._listen, name="page", daemon=True)

    def __enter__(self) -> PageListener:
        self._socket = connect(self._address, max_size=None, compression=None)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._thread.join()

    def delays_s(self, scan: str, sent_s: Sequence[float], *, halo: int) -> list[float]:
        """Of each row of `scan`: from when the last row that its score looks at was sent to its final score here."""
        final_s = self._final_s.get(scan, {})
        return [at_s - sent_s[min(row + halo, len(sent_s) - 1)] for row, at_s in final_s.items()]

    def _listen(self) -> None:
        try:
            for frame in self._socket:
                assert isinstance(frame, bytes), "the page's messages are binary"
                self._take(frame, time.monotonic())
        except ConnectionClosed:
            return

    def _take(self, frame: bytes, now_s: float) -> None:
        header, values = decode_frame(frame)
        for entry in msgspec.convert(header["maps"], list[_Entry]):
            shape = len(entry.layers), len(entry.rows), entry.shape[1]
            layers, values = values[: np.prod(shape)].reshape(shape), values[np.prod(shape) :]
            scored = np.isfinite(layers[entry.layers.index("score")]).any(1)
            seen = self._final_s.setdefault(entry.scan, {})
            for row, there, provisional in zip(entry.rows, scored, entry.provisional, strict=True):
                if there and not provisional:
                    seen.setdefault(row, now_s)
