"""One scan's life: blocks in, strips to score out, scores in, a picture of it all at any time.

Its clock is the `now_ns` that callers pass (monotonic); the sender's time decides nothing.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from monitor.core import views
from monitor.core.assembly import Assembly, Placement, ScanArrays
from monitor.core.latencies import Latencies
from monitor.core.maps import LiveMaps, Scores
from monitor.core.messages import BlockArrived, ScanEnded, ScanStarted
from monitor.core.model_card import Card
from monitor.core.resampling import Resampler, resampler
from monitor.core.scan_flags import ScanFlags
from monitor.core.scan_record import ScanRecord
from monitor.core.strip_planner import StripPlanner
from monitor.core.strips import Run, Strip, cut_strip


class Scan:
    """A scan being assembled and scored by the model of `card`, or kept as it was when it ended."""

    def __init__(
        self,
        *,
        record: ScanRecord,
        arrays: ScanArrays,
        card: Card,
        maps: LiveMaps | None = None,
        total: NDArray[np.float32] | None = None,
    ) -> None:
        """Open a new scan; `maps` and `total` (counts per pixel) bring back one that has ended."""
        started = record.started
        self.record = record
        self.maps = maps if maps is not None else LiveMaps.empty(started.grid)
        self.assembly = Assembly(started, arrays, total)
        self.row_version = np.zeros(started.grid.rows, np.int64)
        self.provisional = np.zeros(started.grid.rows, np.bool_)
        self._scored_by = np.zeros(started.grid.rows, np.int64)
        self._scored_per_row = self.maps.scored_per_row(slice(None))
        self.wire_errors = Counter(record.wire_errors)
        self._latencies = Latencies(views.Latency(p50=record.p50_ms, p99=record.p99_ms))
        self.card = card
        self._planner = StripPlanner(started.grid.rows, card.halo[0])
        self._resample: Resampler | None = None
        self.flags = ScanFlags(record, self.maps, self.provisional, card)
        if record.ended is not None:
            self.end(record.ended)
        if self.open:
            record.model_sha256 = card.sha256
            self._resample = resampler(started.energy, card.energy)
            record.why = (
                None if self._resample else f"energy axis {started.energy} does not cover the model's {card.energy}"
            )

    @property
    def id(self) -> str:
        return self.record.started.scan

    @property
    def started(self) -> ScanStarted:
        return self.record.started

    @property
    def open(self) -> bool:
        return self.record.state == "open"

    @property
    def ended(self) -> ScanEnded | None:
        """The scan_end, once it is in."""
        return self.record.ended

    def end(self, ended: ScanEnded) -> None:
        """Note the scan_end; what its seq shows to be missing are gaps from now on."""
        self.record.ended = ended
        self.assembly.ledger.add(ended.seq)

    @property
    def settled(self) -> bool:
        """True when every row that was touched has its score."""
        return self._resample is None or self._planner.idle

    @property
    def lag_rows(self) -> int:
        """Rows that could be scored and are not."""
        return self._planner.lag_rows if self._resample is not None else 0

    def resume(self, *, version: int, now_ns: int) -> None:
        """Score again what an earlier run of the monitor has recorded of this open scan."""
        rows = np.flatnonzero(self.assembly.received_per_row)
        self.record.blocks = max(self.record.blocks, np.unique(self.assembly.arrays.pixel_seq).size - 1)
        if rows.size:
            self._touch(int(rows[0]), int(rows[-1]) + 1, version=version, now_ns=now_ns)

    def add(self, block: BlockArrived, *, version: int, now_ns: int) -> Placement:
        """Place a block; raises WireError, and then nothing has changed."""
        placement = self.assembly.add(block)
        self.record.duplicate += placement.duplicate
        self.record.blocks += not placement.duplicate
        self.record.replaced += placement.replaced
        if placement.row0 < placement.row1:
            self._touch(placement.row0, placement.row1, version=version, now_ns=now_ns)
        return placement

    def give_up_gaps(self, *, now_ns: int) -> None:
        """What has been passed over will not come: rows beside it are scored for good, and again if it comes after all.

        What lies before the first or beyond the last row with a pixel may be still to come.
        """
        begun = np.flatnonzero(self.assembly.received_per_row)
        passed_over = ~self.assembly.complete_rows
        passed_over[: begun[0] if begun.size else None] = False
        passed_over[begun[-1] if begun.size else 0 :] = False
        self._planner.give_up(passed_over, now_ns=now_ns)

    def finish(self, *, now_ns: int) -> None:
        """No more blocks are awaited: score the rest as it is."""
        self._planner.finish(now_ns=now_ns)

    def next_strip(self, max_pixels: int, *, in_turn: bool = False) -> Strip | None:
        """The next strip to score, of about `max_pixels` pixels without halo; None where nothing is ready.

        `in_turn`: a strip costs less after the one above it.
        """
        if self._resample is None:
            return None
        run = self._planner.take(max(1, max_pixels // self.started.grid.columns), in_turn=in_turn)
        return None if run is None else self.strip(run)

    def strip(self, run: Run) -> Strip | None:
        """Rows with their halo as the model wants them; None where the axis does not cover the model's."""
        resample = self._resample or resampler(self.started.energy, self.card.energy)
        if resample is None:
            return None
        arrays, halo = self.assembly.arrays, self.card.halo[0]
        return cut_strip(arrays.counts, arrays.pixel_seq, run, halo=halo, resample=resample)

    def put(self, strip: Strip, scores: Scores, *, version: int, now_ns: int) -> None:
        """Take the scores of a strip's core rows; a row that a later strip has scored keeps what that one said."""
        rows = np.arange(strip.row0, strip.stop)
        newer = self._scored_by[rows] < strip.number
        rows = rows[newer]
        self._scored_by[rows] = strip.number
        self.maps.put(rows, scores.of_rows(newer), self.card.calibration, self.card.energy)
        self.provisional[rows] = rows >= strip.row1
        self._scored_per_row[rows] = self.maps.scored_per_row(rows)
        self.flags.scored(rows)
        self.record.late_rows += self._latencies.add(self._planner.done(strip.row0, strip.row1, now_ns=now_ns))
        self.row_version[rows] = version

    def close(self, state: str) -> None:
        """Settle the final state and what the record keeps."""
        latency = self._latencies.view()
        self.record.p50_ms, self.record.p99_ms = latency.p50, latency.p99
        self.record.state = state
        self.flags.judge_anew()

    def to_record(self) -> ScanRecord:
        """The record with its counters as of now."""
        self.record.wire_errors = dict(self.wire_errors)
        return self.record

    def view(self) -> views.ScanView:
        """The scan as the HTTP interface shows it."""
        started, record, received = self.started, self.record, self.assembly.received_pixels
        parent = started.parent
        return views.ScanView(
            scan=self.id,
            title=started.title or "",
            state=record.state,
            shape=started.shape,
            parent=parent and views.ParentView(scan=parent.scan, region=parent.region, rescan=parent.rescan),
            energy=started.energy,
            pixels=views.PixelCounts(
                received=received,
                scored=int(self._scored_per_row[~self.provisional].sum()),
                provisional=int(self._scored_per_row[self.provisional].sum()),
                missing=started.grid.pixels - received,
                flagged=int(np.count_nonzero(self.flags.pixels())),
            ),
            blocks=views.BlockCounts(
                received=record.blocks, duplicate=record.duplicate, replaced=record.replaced, stray=record.stray
            ),
            wire_errors=views.WireErrorCounts(total=self.wire_errors.total(), kinds=dict(self.wire_errors)),
            latency_ms=self._latencies.view(),
            lag_rows=self.lag_rows,
            late_rows=record.late_rows,
            why=record.why,
            unrecorded=record.unrecorded,
            labels=self.maps.labelled(self.card.labels),
            fdr=record.fdr,
            false_flags=record.false_flags,
        )

    def _touch(self, row0: int, row1: int, *, version: int, now_ns: int) -> None:
        self.row_version[row0:row1] = version
        self._planner.touch(row0, row1, self.assembly.complete_rows, now_ns=now_ns)
