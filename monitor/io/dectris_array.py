"""Images in CBOR: a multi-dimensional array (tag 40) of a typed array (tags 64 to 86), compressed or not.

Specification: RFC 8746, sections 2 and 3.1.1; compression as in `monitor.io.dectris_packing`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cbor2
import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import Region
from monitor.core.errors import WireError
from monitor.io.dectris_packing import Packed

MAX_IMAGE_BYTES = 2**28
_ARRAY, _COMPRESSED = 40, 56500
_TYPES = {
    64: "|u1",
    65: ">u2",
    66: ">u4",
    68: "|u1",
    69: "<u2",
    70: "<u4",
    72: "|i1",
    73: ">i2",
    74: ">i4",
    77: "<i2",
    78: "<i4",
    80: ">f2",
    81: ">f4",
    82: ">f8",
    84: "<f2",
    85: "<f4",
    86: "<f8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageArray:
    """One image (detector row, detector column), still as it was sent."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    content: bytes | Packed

    def read(self, region: Region | None) -> NDArray[Any]:
        """The pixels of `region`, or all; raises WireError where it lies outside or the content does not fit."""
        rows, columns = self.shape
        wanted = region if region is not None else Region(row0=0, col0=0, row1=rows, col1=columns)
        if wanted.row1 > rows or wanted.col1 > columns:
            raise WireError(
                "shape",
                f"image of {rows} x {columns} pixels, --detector-region asks for {wanted.as_list()}; "
                "give a region of the image",
            )
        line = columns * self.dtype.itemsize
        size, first, last = rows * line, wanted.row0 * line, wanted.row1 * line
        if isinstance(self.content, Packed):
            content = self.content.unpack(size, first, last)
        elif len(self.content) == size:
            content = self.content[first:last]
        else:
            raise WireError("payload", f"image holds {len(self.content)} bytes, {rows} x {columns} pixels want {size}")
        return np.frombuffer(content, self.dtype).reshape(-1, columns)[:, wanted.col0 : wanted.col1]


def read_array(item: object) -> ImageArray:
    """What a decoded CBOR item says of an image; raises WireError for any other."""
    if not isinstance(item, cbor2.CBORTag) or item.tag != _ARRAY:
        raise WireError("dtype", f"image data is {_name(item)}, wanted a multi-dimensional array (tag {_ARRAY})")
    try:
        shape, typed = item.value
    except (TypeError, ValueError):
        raise WireError("dtype", f"tag {_ARRAY} holds {_name(item.value)}, wanted [dimensions, typed array]") from None
    if not (isinstance(shape, list | tuple) and len(shape) == 2 and all(type(n) is int and n > 0 for n in shape)):
        raise WireError("shape", f"image has dimensions {str(shape)[:40]}, wanted two, [rows, columns]")
    if not isinstance(typed, cbor2.CBORTag) or typed.tag not in _TYPES:
        raise WireError("dtype", f"image is of {_name(typed)}, wanted integers of 8 to 32 bits or floats (RFC 8746)")
    dtype = np.dtype(_TYPES[typed.tag])
    if math.prod(shape) * dtype.itemsize > MAX_IMAGE_BYTES:
        raise WireError("limits", f"image of {shape[0]} x {shape[1]} exceeds {MAX_IMAGE_BYTES >> 20} MiB")
    return ImageArray(shape=(shape[0], shape[1]), dtype=dtype, content=_content(typed.value))


def _content(item: object) -> bytes | Packed:
    if isinstance(item, bytes):
        return item
    if not isinstance(item, cbor2.CBORTag) or item.tag != _COMPRESSED:
        raise WireError("dtype", f"typed array holds {_name(item)}, wanted bytes, plain or compressed ({_COMPRESSED})")
    match item.value:
        case [str(algorithm), element, bytes(data)] if type(element) is int:  # True is none
            return Packed(algorithm=algorithm, element=element, data=data)
    raise WireError("compression", f"tag {_COMPRESSED} holds no [algorithm, element size, bytes]")


def _name(item: object) -> str:
    return f"tag {item.tag}" if isinstance(item, cbor2.CBORTag) else type(item).__name__
