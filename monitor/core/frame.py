"""Binary frames of the page's websocket: uint32 LE header length, JSON header, then float32 LE arrays.

The header is padded with spaces so that the arrays start at a multiple of 4 bytes and a browser can view them in place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

LENGTH = struct.Struct("<I")
ALIGNMENT = 4


def encode_frame(header: object, arrays: Iterable[NDArray[np.float32]]) -> bytes:
    """One frame of a JSON-able header and float32 arrays of any shape, in C order one after the other."""
    text = msgspec.json.encode(header)
    text += b" " * (-len(text) % ALIGNMENT)
    payload = (np.ascontiguousarray(array, dtype="<f4").data for array in arrays if array.size)
    return b"".join([LENGTH.pack(len(text)), text, *payload])


def decode_frame(frame: bytes) -> tuple[dict[str, object], NDArray[np.float32]]:
    """The header and all arrays end to end, as the page reads them; for tests and for other programs.

    Raises ValueError where the frame is shorter than it claims.
    """
    (length,) = LENGTH.unpack_from(frame)
    start = LENGTH.size + length
    if len(frame) < start or (len(frame) - start) % ALIGNMENT:
        raise ValueError(f"a frame of {len(frame)} bytes cannot hold a header of {length} bytes and float32 arrays")
    header = msgspec.json.decode(frame[LENGTH.size : start], type=dict[str, object])
    return header, np.frombuffer(frame, dtype="<f4", offset=start)
