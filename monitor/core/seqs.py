"""Which seq numbers of a scan have arrived: gaps as ranges, so that a far jump costs nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class SeqLedger:
    """The messages 1..highest of one scan and the gaps between them."""

    def __init__(self, received: Iterable[int] = ()) -> None:
        self.highest = 0
        self._gaps: list[tuple[int, int]] = []
        for seq in sorted(received):
            self.add(seq)

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Inclusive ranges not received, ascending, all below `highest`."""
        return list(self._gaps)

    def __contains__(self, seq: int) -> bool:
        return 1 <= seq <= self.highest and self._gap_of(seq) is None

    def add(self, seq: int) -> None:
        """Note that `seq` (>= 1) has arrived; adding it twice changes nothing."""
        if seq > self.highest:
            if seq > self.highest + 1:
                self._gaps.append((self.highest + 1, seq - 1))
            self.highest = seq
            return
        index = self._gap_of(seq)
        if index is not None:
            first, last = self._gaps[index]
            self._gaps[index : index + 1] = [(a, b) for a, b in ((first, seq - 1), (seq + 1, last)) if a <= b]

    def _gap_of(self, seq: int) -> int | None:
        index = bisect_right(self._gaps, seq, key=lambda gap: gap[0]) - 1
        return index if index >= 0 and seq <= self._gaps[index][1] else None
