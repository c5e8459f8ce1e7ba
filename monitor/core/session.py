"""The stream as a state machine: frames in, events out. No I/O; its clock is the `now_ns` (monotonic) of each call.

Law: one bad message costs one counted WireError and nothing else. One scan receives at a time; a scan that has ended
stays open until its gaps are filled or given up and its last score is in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from monitor.core import wire
from monitor.core.errors import WireError
from monitor.core.events import Event, ResendWanted, ScanClosed, ScanOpened
from monitor.core.messages import BlockArrived, ScanEnded, ScanStarted, StreamMessage
from monitor.core.recovery import SECOND_NS, Recovery
from monitor.core.scan import Scan
from monitor.core.version import Version

MAX_SEQ_JUMP = 2**24
UNKNOWN_PATIENCE_NS = 5 * SECOND_NS
UNKNOWN_SHOWN_NS = 60 * SECOND_NS
UNKNOWN_KEPT = 100


class Shelf(Protocol):
    """Where scans live: memory in tests, a folder in service."""

    def create(self, started: ScanStarted) -> Scan: ...

    def find(self, scan: str) -> Scan | None:
        """A scan of any earlier time, or None."""
        ...

    def save(self, scan: Scan) -> None: ...


@dataclass(slots=True, kw_only=True)
class _Active:
    scan: Scan
    recovery: Recovery
    heard_ns: int
    ended_ns: int | None = None


class Session:
    """All scans of one stream. Callers feed frames, tick a few times a second and score what `active` scans offer."""

    def __init__(self, *, shelf: Shelf, version: Version, limits: wire.Limits, stall_s: float) -> None:
        self.wire_errors: Counter[str] = Counter()
        self.stray = 0
        self._shelf = shelf
        self._version = version
        self._limits = limits
        self._stall_s = stall_s
        self._active: dict[str, _Active] = {}
        self._unknown: dict[str, int] = {}
        self._unsaved: dict[str, Scan] = {}

    @property
    def active(self) -> list[Scan]:
        """Scans in state open, oldest first."""
        return [a.scan for a in self._active.values()]

    def find(self, scan: str) -> Scan | None:
        """A scan by id, open or ended."""
        active = self._active.get(scan)
        return active.scan if active else self._unsaved.get(scan) or self._shelf.find(scan)

    def unknown_scans(self, now_ns: int) -> list[str]:
        """Ids whose blocks came without a scan_start for longer than the sender repeats it."""
        return [scan for scan, since in self._unknown.items() if now_ns - since > UNKNOWN_PATIENCE_NS]

    def adopt(self, scan: Scan, *, now_ns: int) -> None:
        """Go on with an open scan that an earlier run has left on the shelf."""
        scan.resume(version=self._version.bump(), now_ns=now_ns)
        self._activate(scan, now_ns)

    def receive(self, frames: Sequence[wire.Frame], *, now_ns: int, resent: str | None = None) -> Iterator[Event]:
        """Take one multipart message; a fault is counted where it belongs and goes no further.

        `resent` names the scan that a resend was asked for: its answer may speak of no other.
        """
        try:
            message = wire.decode(frames, self._limits)
            scan = message.header.scan if isinstance(message, BlockArrived) else message.scan
            if resent is not None and scan != resent:
                raise WireError("resend", f"a resend of {resent!r} brought a message of {scan!r}", scan=resent)
            yield from self._feed(message, now_ns)
        except WireError as fault:
            self.refuse(fault)

    def refuse(self, fault: WireError) -> None:
        """Count a message that was refused, where it belongs: here, or by a source that could make nothing of it."""
        self._count(fault)
        self._version.bump()

    def resend_answered(self, scan: str, *, now_ns: int) -> None:
        """The source has answered a ResendWanted to its end."""
        if scan in self._active:
            self._active[scan].recovery.answered(now_ns)

    def resend_unanswered(self, scan: str, *, now_ns: int) -> None:
        """The source has not answered a ResendWanted, or not to its end."""
        if scan in self._active:
            self._active[scan].recovery.unanswered(now_ns)

    def tick(self, now_ns: int) -> Iterator[Event]:
        """Notice what only time can tell: stalls, gaps, finished scans."""
        for active in list(self._active.values()):
            if active.ended_ns is None and now_ns - active.heard_ns >= self._stall_s * SECOND_NS:
                self._end(active, now_ns)
                active.recovery.endpoint = None
            ledger = active.scan.assembly.ledger
            ranges = active.recovery.due(
                ledger, end_known=active.scan.ended is not None, over=active.ended_ns is not None, now_ns=now_ns
            )
            if active.recovery.lost(now_ns):
                active.scan.give_up_gaps(now_ns=now_ns)
            if ranges and active.recovery.endpoint:
                yield ResendWanted(scan=active.scan.id, endpoint=active.recovery.endpoint, ranges=ranges)
            yield from self._close_if_done(active, now_ns)
        self._unknown = {s: since for s, since in self._unknown.items() if now_ns - since < UNKNOWN_SHOWN_NS}
        while self._unsaved:
            self._shelf.save(self._unsaved.popitem()[1])

    def _feed(self, message: StreamMessage, now_ns: int) -> Iterator[Event]:
        match message:
            case ScanStarted():
                yield from self._start(message, now_ns)
            case BlockArrived():
                yield from self._block(message, now_ns)
            case ScanEnded():
                yield from self._scan_end(message, now_ns)

    def _start(self, started: ScanStarted, now_ns: int) -> Iterator[Event]:
        known = self.find(started.scan)
        if known is not None:
            if not known.started.same_content(started):
                raise WireError("conflict", "scan_start differs from the one that opened this scan", scan=started.scan)
            if started.scan in self._active:
                self._active[started.scan].heard_ns = now_ns
            return
        scan = self._shelf.create(started)  # may refuse; only then does the open scan end
        for other in list(self._active.values()):
            if other.ended_ns is None:
                self._end(other, now_ns)
                yield from self._close_if_done(other, now_ns)
        self._unknown.pop(started.scan, None)
        self._activate(scan, now_ns)
        self._version.bump()
        yield ScanOpened(scan=scan)

    def _block(self, block: BlockArrived, now_ns: int) -> Iterator[Event]:
        scan, seq = block.header.scan, block.header.seq
        active = self._active.get(scan)
        if active is not None and active.ended_ns is not None and seq in active.scan.assembly.ledger:
            active.scan.record.duplicate += 1
            self._version.bump()
            return
        if active is None or not self._welcome(active, seq):
            self._stray(scan)
            if len(self._unknown) < UNKNOWN_KEPT and self.find(scan) is None:
                self._unknown.setdefault(scan, now_ns)
            return
        ledger = active.scan.assembly.ledger
        self._check_seq(scan, seq, ledger.highest)
        placement = active.scan.add(block, version=self._version.bump(), now_ns=now_ns)
        active.heard_ns = now_ns
        if not placement.duplicate:
            active.recovery.progressed(now_ns)
        yield from self._close_if_done(active, now_ns)

    def _scan_end(self, ended: ScanEnded, now_ns: int) -> Iterator[Event]:
        scan = self.find(ended.scan)
        active = self._active.get(ended.scan)
        if scan is None:
            self._stray(ended.scan)
            return
        if active is None or scan.ended is not None:
            if scan.ended is not None and (ended.seq, ended.reason) != (scan.ended.seq, scan.ended.reason):
                raise WireError("conflict", "scan_end differs from the one that ended this scan", scan=ended.scan)
            return
        ledger = scan.assembly.ledger
        self._check_seq(ended.scan, ended.seq, ledger.highest)
        if ended.seq <= ledger.highest:
            raise WireError(
                "seq", f"scan_end has seq {ended.seq}, but block {ledger.highest} has arrived", scan=ended.scan
            )
        scan.end(ended)
        self._unsaved[scan.id] = scan
        active.recovery.progressed(now_ns)
        self._end(active, now_ns)
        yield from self._close_if_done(active, now_ns)

    def _welcome(self, active: _Active, seq: int) -> bool:
        if active.ended_ns is None:
            return True
        ledger = active.scan.assembly.ledger
        if seq <= ledger.highest:
            return seq not in ledger
        return active.scan.ended is None and active.recovery.endpoint is not None

    def _check_seq(self, scan: str, seq: int, highest: int) -> None:
        if seq > highest + MAX_SEQ_JUMP:
            raise WireError("seq", f"seq {seq} is more than 2^24 beyond the last, {highest}", scan=scan)

    def _activate(self, scan: Scan, now_ns: int) -> None:
        recovery = Recovery(scan.started.resend, give_up_s=self._stall_s, now_ns=now_ns)
        self._active[scan.id] = _Active(
            scan=scan, recovery=recovery, heard_ns=now_ns, ended_ns=now_ns if scan.ended is not None else None
        )

    def _end(self, active: _Active, now_ns: int) -> None:
        active.ended_ns = active.ended_ns if active.ended_ns is not None else now_ns
        self._version.bump()

    def _close_if_done(self, active: _Active, now_ns: int) -> Iterator[Event]:
        scan = active.scan
        if active.ended_ns is None or not scan.open:
            return
        end_known = scan.ended is not None
        whole = end_known and not scan.assembly.ledger.gaps
        if not whole and not active.recovery.hopeless(end_known=end_known, ended_ns=active.ended_ns, now_ns=now_ns):
            return
        scan.finish(now_ns=now_ns)
        if not scan.settled:
            return
        scan.close(_final_state(scan))
        del self._active[scan.id]
        self._version.bump()
        self._shelf.save(scan)
        yield ScanClosed(scan=scan)

    def _stray(self, scan_id: str) -> None:
        scan = self.find(scan_id)
        if scan is None:
            self.stray += 1
        else:
            scan.record.stray += 1
            self._unsaved[scan_id] = scan
        self._version.bump()

    def _count(self, fault: WireError) -> None:
        scan = self.find(fault.scan) if fault.scan is not None else None
        if scan is None:
            self.wire_errors[fault.kind] += 1
        else:
            scan.wire_errors[fault.kind] += 1
            self._unsaved[scan.id] = scan


def _final_state(scan: Scan) -> str:
    if scan.ended is None:
        return "incomplete"
    if scan.ended.reason != "complete":
        return "aborted"
    return "complete" if scan.assembly.received_pixels == scan.started.grid.pixels else "incomplete"
