"""A map as a scan on the wire: its messages in order, and their sending at a set pace."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from monitor.core import wire
from monitor.core.axes import EnergyAxis, Region, ScanGrid
from monitor.core.messages import BlockHeader, Dtype, Parent, ScanEnded, ScanStarted
from monitor.sim.faults import Faults
from monitor.sim.sender import REPEAT_S, StreamSender

Order = Literal["rows", "serpentine", "shuffled"]
_WIRE_DTYPES: tuple[Dtype, ...] = ("<u1", "<u2", "<u4", "<i2", "<i4", "<f4")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanToSend:
    """A map (row, column, energy) and what its scan_start says of it.

    `received` (row, column) is False for a pixel that is missing and is not sent; None where all are there.
    """

    scan: str
    counts: NDArray[Any]
    energy: EnergyAxis
    title: str
    dwell_us: float | None = None
    pixel_nm: tuple[float, float] | None = None
    beam_kev: float | None = None
    counts_per_electron: float | None = None
    received: NDArray[np.bool_] | None = None
    parent: Parent | None = None


def wire_counts(counts: NDArray[Any]) -> NDArray[Any]:
    """Counts in the smallest type of the wire that holds them: their own where it is one, else <u4, <i4 or <f4."""
    for name in _WIRE_DTYPES:
        if counts.dtype == np.dtype(name):
            return counts
    if counts.dtype.kind in "iu":
        for name in ("<u2", "<i2", "<u4", "<i4"):
            bounds = np.iinfo(name)
            if counts.min() >= bounds.min and counts.max() <= bounds.max:
                return counts.astype(name)
    return counts.astype("<f4")


def blocks_of(
    counts: NDArray[Any], order: Order, blocks_per_row: int, seed: int, received: NDArray[np.bool_] | None = None
) -> list[Region]:
    """Cut a map into parts of rows as a scan visits them; pixels not received or not finite are left out."""
    rows, columns = counts.shape[:2]
    edges = np.linspace(0, columns, min(max(blocks_per_row, 1), columns) + 1).astype(int)
    there = np.ones((rows, columns), np.bool_) if received is None else received.copy()
    if counts.dtype.kind == "f":
        there &= np.isfinite(counts).all(axis=-1)
    blocks: list[Region] = []
    for row in range(rows):
        part = [
            Region(row0=row, col0=start, row1=row + 1, col1=stop)
            for lo, hi in pairwise(edges)
            for start, stop in _runs(there[row][lo:hi], int(lo))
        ]
        blocks += reversed(part) if order == "serpentine" and row % 2 else part
    if order == "shuffled":
        return [blocks[i] for i in np.random.default_rng(seed).permutation(len(blocks))]
    return blocks


def publish(
    sender: StreamSender,
    scan: ScanToSend,
    *,
    rate_spectra_per_s: float | None,
    order: Order = "rows",
    blocks_per_row: int = 1,
    faults: Faults | None = None,
    seed: int = 0,
) -> Iterator[int]:
    """Stream one scan; yields the number of pixels sent so far after each block. `rate` None: as fast as it goes."""
    counts = np.ascontiguousarray(wire_counts(scan.counts))
    started = _start(scan, counts, sender.resend)
    start = wire.encode(started)
    sender.keep(scan.scan, start)
    sender.send(start)
    blocks = blocks_of(counts, order, blocks_per_row, seed, scan.received)
    rng, faults = np.random.default_rng(seed), faults if faults is not None else Faults()
    begun_s = repeated_s = time.monotonic()
    sent_pixels = 0
    kept = blocks[: faults.blocks_before_abort(len(blocks))]
    for seq, block in enumerate(kept, start=1):
        frames = _block(scan.scan, seq, block, counts)
        sender.keep(scan.scan, frames)
        for message in faults.apply(frames, rng):
            sender.send(message)
        sent_pixels += block.shape[0] * block.shape[1]
        due_s = begun_s + sent_pixels / rate_spectra_per_s if rate_spectra_per_s is not None else 0.0
        while True:
            now_s = time.monotonic()
            if now_s - repeated_s >= REPEAT_S:
                sender.send(start)
                repeated_s = now_s
            sender.answer_until(min(due_s, repeated_s + REPEAT_S))
            if time.monotonic() >= due_s:
                break
        yield sent_pixels
    for message in faults.held_back():
        sender.send(message)
    reason = "complete" if len(kept) == len(blocks) else "aborted"
    end = wire.encode(
        ScanEnded(scan=scan.scan, seq=len(kept) + 1, t_ns=time.time_ns(), reason=reason, blocks=len(kept))
    )
    sender.keep(scan.scan, end)
    sender.ended(scan.scan)
    if not faults.lose_end:
        sender.send(end)


def _start(scan: ScanToSend, counts: NDArray[Any], resend: str | None) -> ScanStarted:
    rows, columns, channels = counts.shape
    assert ScanGrid(rows=rows, columns=columns).pixels > 0
    assert channels == scan.energy.size
    dtype: Dtype = next(name for name in _WIRE_DTYPES if np.dtype(name) == counts.dtype)
    return ScanStarted(
        scan=scan.scan,
        seq=0,
        t_ns=time.time_ns(),
        shape=(rows, columns),
        energy=scan.energy,
        dtype=dtype,
        dwell_us=scan.dwell_us,
        pixel_nm=scan.pixel_nm,
        beam_kev=scan.beam_kev,
        counts_per_electron=scan.counts_per_electron,
        title=scan.title,
        resend=resend,
        parent=scan.parent,
    )


def _block(scan: str, seq: int, region: Region, counts: NDArray[Any]) -> Sequence[wire.Frame]:
    header = BlockHeader(scan=scan, seq=seq, t_ns=time.time_ns(), origin=(region.row0, region.col0), shape=region.shape)
    return wire.encode(header, np.ascontiguousarray(counts[region.slices]).data.cast("B"))


def _runs(good: NDArray[np.bool_], offset: int) -> Iterator[tuple[int, int]]:
    bounds = np.flatnonzero(np.diff(np.concatenate(([False], good, [False]))))
    for start, stop in bounds.reshape(-1, 2):
        yield offset + int(start), offset + int(stop)
