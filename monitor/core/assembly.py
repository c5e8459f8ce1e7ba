"""Blocks in any order -> the counts of one scan, pixel by pixel.

Law: positions come from messages; of two blocks that hold the same pixel the higher seq wins, whatever the order of
arrival. Where the arrays live, in memory or on disk, is their own affair.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core import wire
from monitor.core.axes import Region
from monitor.core.messages import BlockArrived, ScanStarted
from monitor.core.seqs import SeqLedger

LARGEST_TOTAL = float(np.finfo(np.float32).max)


@dataclass(kw_only=True)
class ScanArrays:
    """Received pixels: counts (row, column, energy) and the seq that wrote each pixel (row, column), 0 = missing.

    `received` are the seqs of the blocks that are whole in it at the start; None: all that `pixel_seq` names.
    """

    counts: NDArray[Any]
    pixel_seq: NDArray[np.int64]
    received: Collection[int] | None = None

    @classmethod
    def empty(cls, started: ScanStarted) -> ScanArrays:
        """Arrays in memory of a scan of which nothing has arrived."""
        counts = np.zeros((*started.shape, started.energy.size), started.dtype)
        return ScanArrays(counts=counts, pixel_seq=np.zeros(started.shape, np.int64))

    def put(self, region: Region, counts: NDArray[Any], pixel_seq: NDArray[np.int64], *, seq: int) -> None:
        """Take block `seq`: from now on `region` holds these counts and seqs. May raise WireError and take nothing."""
        del seq  # for those who keep a log of blocks
        self.counts[region.slices] = counts
        self.pixel_seq[region.slices] = pixel_seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What a block did: rows [row0, row1) whose counts changed (empty for none), and how it met older pixels."""

    row0: int
    row1: int
    duplicate: bool
    replaced: bool


class Assembly:
    """The counts of one scan as they come together."""

    def __init__(self, started: ScanStarted, arrays: ScanArrays, total: NDArray[np.float32] | None = None) -> None:
        """Go on from `arrays`; `total` (counts per pixel) spares reading them all where it is known."""
        self.started = started
        self.arrays = arrays
        received = arrays.received if arrays.received is not None else np.unique(arrays.pixel_seq)
        self.ledger = SeqLedger(int(seq) for seq in received if seq > 0)
        self.received_per_row = np.count_nonzero(arrays.pixel_seq, axis=1)
        if total is None:
            total = np.full(started.grid.shape, np.nan, np.float32)
            for row in np.flatnonzero(self.received_per_row):
                total[row] = _totals(arrays.counts[row], arrays.pixel_seq[row])
        self.total = total

    @property
    def received_pixels(self) -> int:
        return int(self.received_per_row.sum())

    @property
    def complete_rows(self) -> NDArray[np.bool_]:
        """Rows with no pixel missing, shape (rows,)."""
        return self.received_per_row == self.started.grid.columns

    def add(self, block: BlockArrived) -> Placement:
        """Place one block; raises WireError, and then nothing has changed."""
        seq, region = block.header.seq, block.header.region
        counts = wire.read_counts(block, self.started)
        if seq in self.ledger:
            return Placement(row0=region.row0, row1=region.row0, duplicate=True, replaced=False)
        where = region.slices
        target, held = self.arrays.counts[where], self.arrays.pixel_seq[where]
        fresh = held == 0
        differs = np.zeros_like(fresh) if fresh.all() else ~fresh & (target != counts).any(-1)
        changed = fresh | (differs & (seq > held))
        placed = counts if changed.all() else np.where(changed[..., None], counts, target)
        seqs = np.maximum(held, seq)
        self.arrays.put(region, placed, seqs, seq=seq)
        self.ledger.add(seq)
        rows = np.flatnonzero(changed.any(1))
        if rows.size:
            self.received_per_row[where[0]] += np.count_nonzero(fresh, axis=1)
            self.total[where] = _totals(placed, seqs)
        return Placement(
            row0=region.row0 + int(rows[0]) if rows.size else region.row0,
            row1=region.row0 + int(rows[-1]) + 1 if rows.size else region.row0,
            duplicate=not fresh.any() and not differs.any(),
            replaced=bool(differs.any()),
        )


def _totals(counts: NDArray[Any], pixel_seq: NDArray[np.int64]) -> NDArray[np.float32]:
    # a sum of 2^16 such channels fits, at half the cost
    narrow = counts.dtype.kind == "u" and counts.dtype.itemsize <= 2 and counts.shape[-1] <= 2**16
    sums = counts.sum(axis=-1, dtype=np.uint32 if narrow else np.float64)
    totals = np.clip(sums, -LARGEST_TOTAL, LARGEST_TOTAL)
    return np.where(pixel_seq > 0, totals, np.nan).astype(np.float32)
