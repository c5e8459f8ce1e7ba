"""Compressed byte strings of DECTRIS detectors, CBOR tag 56500: LZ4, with or without bitshuffle, in HDF5's framing.

Specification: https://github.com/dectris/documentation/blob/main/cbor/dectris-compression-tag.md
Law: lengths that a sender states are checked against what is there and what is wanted before anything is allocated.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import lz4.block
import numpy as np
from numpy.typing import NDArray

from monitor.core.errors import WireError

LZ4_GAIN = 255
"""Bytes at most that one byte of LZ4 stands for."""
_HEADER = struct.Struct(">QI")  # bytes in all, bytes a block, both unpacked
_LENGTH = struct.Struct(">I")
_ELEMENTS = (1, 2, 4, 8)
_BITS_APART = ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A compressed byte string: `element` is the number of bytes that bitshuffle took as one, unused by lz4."""

    algorithm: str
    element: int
    data: bytes

    def unpack(self, size: int, first: int, last: int) -> bytes:
        """Bytes [first, last) of the `size` that it stands for; blocks without any of them are not looked into.

        Raises WireError where the algorithm is unknown or the data are not `size` bytes in whole blocks.
        """
        if self.algorithm == "lz4":
            quantum = 1
        elif self.algorithm == "bslz4" and self.element in _ELEMENTS:
            quantum = 8 * self.element
        else:
            what = f"{self.algorithm[:20]!r} of elements of {self.element} bytes"
            raise _broken(f"{what}, wanted lz4, or bslz4 of {_ELEMENTS}; choose one on the detector")
        whole = size - size % quantum
        blocks: list[bytes] = []
        start, rest = size, b""
        for at, length, block in self._blocks(size, quantum):
            if at + length <= first or at >= last:
                continue
            start = min(start, at)
            if at == whole:
                rest = bytes(block)
            else:
                blocks.append(_unpacked(block, length, may_be_plain=quantum == 1))
        if quantum > 1:  # blocks of one length together: their number costs more than their bytes
            blocks = [_unshuffled(b"".join(same), length, self.element) for length, same in groupby(blocks, key=len)]
        return b"".join([*blocks, rest])[first - start : last - start]

    def _blocks(self, size: int, quantum: int) -> Iterator[tuple[int, int, memoryview]]:
        """Where each block begins, its length unpacked, and its bytes; what fills no quantum follows as it is."""
        data = memoryview(self.data)
        if len(data) < _HEADER.size:
            raise _broken(f"{len(data)} bytes, too few for a header")
        total, most = _HEADER.unpack_from(data)
        if total != size:
            raise _broken(f"it holds {total} bytes, its array wants {size}")
        if most == 0 or most % quantum:
            raise _broken(f"blocks of {most} bytes, wanted a multiple of {quantum}")
        at, position = 0, _HEADER.size
        whole = size - size % quantum
        while at < whole:
            if len(data) < position + _LENGTH.size:
                raise _broken(f"it is cut off after {at} of {size} bytes")
            (length,) = _LENGTH.unpack_from(data, position)
            position += _LENGTH.size
            if length > len(data) - position:
                raise _broken(f"it is cut off after {at} of {size} bytes")
            yield at, min(most, whole - at), data[position : position + length]
            position += length
            at += min(most, whole - at)
        if len(data) - position != size - whole:
            raise _broken(f"{len(data) - position} bytes follow its blocks, wanted {size - whole}")
        if whole < size:
            yield whole, size - whole, data[position:]


def _unpacked(block: memoryview, length: int, *, may_be_plain: bool) -> bytes:
    if may_be_plain and len(block) == length:  # LZ4's filter for HDF5 keeps what does not get smaller
        return bytes(block)
    if length > LZ4_GAIN * (len(block) + 1):
        raise _broken(f"a block of {len(block)} bytes cannot hold {length}")
    try:
        plain = lz4.block.decompress(block, uncompressed_size=length)
    except (lz4.block.LZ4BlockError, ValueError, OverflowError, MemoryError) as fault:
        raise _broken(f"a block is no LZ4 ({fault})") from fault
    if len(plain) != length:
        raise _broken(f"a block of {len(plain)} bytes, wanted {length}")
    return plain


def _unshuffled(blocks: bytes, length: int, element: int) -> bytes:
    """Undo bitshuffle on blocks of `length` bytes: in each, bit k of all its elements lies together, for each k."""
    planes = np.frombuffer(blocks, np.uint8).reshape(-1, element, 8, length // (8 * element))
    words = _last_axis_from([planes[:, :, bit] for bit in range(8)]).view("<u8")[..., 0]
    swapped = np.empty_like(words)
    for apart, mask in _BITS_APART:  # transposes 8 x 8 bits: Warren, Hacker's Delight, section 7-3
        np.right_shift(words, np.uint64(apart), out=swapped)
        swapped ^= words
        swapped &= np.uint64(mask)
        words ^= swapped
        words ^= np.left_shift(swapped, np.uint64(apart), out=swapped)
    octets = words[..., None].view(np.uint8).reshape(len(planes), element, -1)
    return _last_axis_from([octets[:, octet] for octet in range(element)]).tobytes()


def _last_axis_from(parts: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """np.stack(parts, axis=-1), which would copy byte by byte; its long axes are copied at a time here."""
    stacked = np.empty((*parts[0].shape, len(parts)), np.uint8)
    for index, part in enumerate(parts):
        stacked[..., index] = part
    return stacked


def _broken(what: str) -> WireError:
    return WireError("compression", f"compressed data: {what}")
