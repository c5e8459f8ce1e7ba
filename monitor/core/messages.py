"""What travels in a stream: scan_start, block, scan_end, and the resend talk about them.

These are the headers of `eelswatch.stream/1` with strict types; `wire` turns bytes into them and back. `t_ns` is the
sender's Unix time: shown, never used to order or place anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from monitor.core.axes import EnergyAxis, Region, ScanGrid

SCHEMA = "eelswatch.stream/1"

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
MAX_SCAN_ID = 128
ScanId = Annotated[str, Meta(min_length=1, max_length=MAX_SCAN_ID)]
Dtype = Literal["<u1", "<u2", "<u4", "<i2", "<i4", "<f4"]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every header has."""

    schema: Literal["eelswatch.stream/1"] = SCHEMA
    scan: ScanId


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """The scan that a rescan looks at again; `region` is [row0, col0, row1, col1] in the parent's pixels."""

    scan: ScanId
    region: tuple[Count, Count, Count, Count]
    rescan: str | None = None


class ScanStarted(Message, frozen=True, kw_only=True, tag="scan_start"):
    """A scan begins: its layout and what is known of the instrument."""

    seq: Literal[0]
    t_ns: int
    shape: tuple[Positive, Positive]
    energy: EnergyAxis
    dtype: Dtype
    dwell_us: float | None = None
    pixel_nm: tuple[float, float] | None = None
    beam_kev: float | None = None
    counts_per_electron: float | None = None
    title: str | None = None
    resend: str | None = None
    parent: Parent | None = None

    @property
    def grid(self) -> ScanGrid:
        return ScanGrid(rows=self.shape[0], columns=self.shape[1])

    def same_content(self, other: ScanStarted) -> bool:
        """True for a repeat: everything but the sender's clock is alike."""
        return msgspec.structs.replace(self, t_ns=0) == msgspec.structs.replace(other, t_ns=0)


class BlockHeader(Message, frozen=True, kw_only=True, tag="block"):
    """Where a block lies; its counts follow in the payload."""

    seq: Positive
    t_ns: int
    origin: tuple[Count, Count]
    shape: tuple[Positive, Positive]

    @property
    def region(self) -> Region:
        row, column = self.origin
        return Region(row0=row, col0=column, row1=row + self.shape[0], col1=column + self.shape[1])


class ScanEnded(Message, frozen=True, kw_only=True, tag="scan_end"):
    """No more blocks. `blocks` counts the distinct block messages and equals seq - 1."""

    seq: Positive
    t_ns: int
    reason: Literal["complete", "aborted", "error"]
    blocks: Count


class ResendRequest(Message, frozen=True, kw_only=True, tag="resend"):
    """Asks for messages by seq, ranges inclusive; an open end (None) means up to the newest."""

    ranges: list[tuple[Count, Count | None]]


class ResendEnded(Message, frozen=True, kw_only=True, tag="resend_end"):
    """The answer to a ResendRequest is over; `missing` is what the source does not hold now."""

    missing: list[Count]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockArrived:
    """A block with its raw payload, C-order little-endian [rows, columns, energy] of the scan's dtype."""

    header: BlockHeader
    payload: bytes | memoryview


StreamMessage = ScanStarted | BlockArrived | ScanEnded
