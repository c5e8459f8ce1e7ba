"""Scores that came late are counted, each once."""

import pytest

from monitor.core.latencies import LATE_MS
from monitor.core.session import Session
from monitor.core.version import Version
from monitor.core.wire import Limits
from tests.doubles import MemoryShelf, fake_scores
from tests.streams import a_map, rows_of

READY_NS = 1_000_000_000


def scored_after(latency_ms):
    """A scan of six rows that all came at once, and were scored so much later."""
    shelf = MemoryShelf()
    session = Session(shelf=shelf, version=Version(), limits=Limits(), stall_s=30.0)
    for frames in rows_of(a_map()):
        list(session.receive(frames, now_ns=READY_NS))
    scan = shelf.find("s")
    assert scan.lag_rows == 6
    while (strip := scan.next_strip(10)) is not None:
        scan.put(strip, fake_scores(strip), version=1, now_ns=READY_NS + int(latency_ms * 1e6))
    return scan


@pytest.mark.parametrize(("latency_ms", "late"), [(0, 0), (LATE_MS, 0), (LATE_MS + 1, 6)])
def test_rows_whose_score_takes_longer_than_the_limit_are_late(latency_ms, late):
    scan = scored_after(latency_ms)
    assert (scan.lag_rows, scan.view().late_rows) == (0, late)


def test_what_was_late_stays_in_the_record():
    assert scored_after(2 * LATE_MS).to_record().late_rows == 6
