"""When to ask the source for messages that did not arrive, and when to stop waiting for them.

Its clock is the `now_ns` that callers pass. Reordered messages fill their own gaps, so a gap is asked for only once it
has stood a moment.
"""

from __future__ import annotations

from monitor.core.seqs import SeqLedger

SECOND_NS = 1_000_000_000
GAP_PATIENCE_NS = 3 * SECOND_NS // 10
TAIL_PATIENCE_NS = 2 * SECOND_NS
RETRY_NS = SECOND_NS
GRACE_NS = SECOND_NS
CUT_SHORT_NS = 3 * SECOND_NS
MAX_RANGES = 1000

Ranges = list[tuple[int, int | None]]


class Recovery:
    """The resend talk of one scan. `endpoint` None: nothing can be asked, only waited for."""

    def __init__(self, endpoint: str | None, *, give_up_s: float, now_ns: int) -> None:
        self.endpoint = endpoint
        self._give_up_ns = int(give_up_s * SECOND_NS)
        self._progress_ns = now_ns
        self._gap_since_ns: int | None = None
        self._asked_ns: int | None = None
        self._answered_ns: int | None = None
        self._asked_for_all = False
        self._source_has_no_more = False

    def progressed(self, now_ns: int) -> None:
        """A message of the scan arrived that was not there before."""
        self._progress_ns = now_ns
        self._source_has_no_more = False

    def answered(self, now_ns: int) -> None:
        """The source has said all it has; ask again later for what is still missing."""
        if self._asked_ns is not None and self._asked_for_all:
            self._source_has_no_more = self._progress_ns < self._asked_ns
        self.unanswered(now_ns)

    def unanswered(self, now_ns: int) -> None:
        """The source has fallen silent, or cannot be reached; ask again later."""
        self._asked_ns, self._answered_ns = None, now_ns

    def due(self, ledger: SeqLedger, *, end_known: bool, over: bool, now_ns: int) -> Ranges | None:
        """What to ask for now, or None.

        `end_known`: scan_end is in, so there is no tail to ask for. `over`: the scan has ended, one way or another.
        """
        gaps = ledger.gaps
        if not gaps:
            self._gap_since_ns = None
        elif self._gap_since_ns is None:
            self._gap_since_ns = now_ns
        if self.endpoint is None or self._waiting(now_ns):
            return None
        cut_short = over and not end_known
        ranges: Ranges = []
        if self._gap_since_ns is not None and (cut_short or now_ns - self._gap_since_ns >= GAP_PATIENCE_NS):
            ranges += gaps[:MAX_RANGES]
        if cut_short or (not end_known and now_ns - self._progress_ns >= TAIL_PATIENCE_NS):
            ranges.append((ledger.highest + 1, None))
        if not ranges:
            return None
        self._asked_ns = now_ns
        self._asked_for_all = cut_short and len(gaps) <= MAX_RANGES
        return ranges

    def lost(self, now_ns: int) -> bool:
        """True when a gap has stood for longer than reordering explains, and there is nobody to ask."""
        return self.endpoint is None and self._gap_since_ns is not None and now_ns - self._gap_since_ns >= GRACE_NS

    def hopeless(self, *, end_known: bool, ended_ns: int, now_ns: int) -> bool:
        """True when a scan that ended at `ended_ns` should not wait any longer for what is missing.

        One that another scan cut short (no scan_end) waits until its source has no more, and a moment for what may
        still come.
        """
        if self.endpoint is None:
            return not end_known or now_ns - ended_ns >= GRACE_NS
        waited_ns = now_ns - max(ended_ns, self._progress_ns)
        if not end_known and self._source_has_no_more and waited_ns >= CUT_SHORT_NS:
            return True
        return waited_ns >= self._give_up_ns

    def _waiting(self, now_ns: int) -> bool:
        if self._asked_ns is not None:
            return True  # the one who asked says when the answer is over, or does not come
        return self._answered_ns is not None and now_ns - self._answered_ns < RETRY_NS
