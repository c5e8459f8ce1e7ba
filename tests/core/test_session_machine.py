"""A session under everything a sender, a network and a restart can do to it, in any order that Hypothesis thinks of."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.doubles import fake_scores
from tests.session_bench import Bench, undisturbed
from tests.streams import a_map, block, end, hostile_corpus, start

ROWS, COLUMNS = 4, 3
STALL_S = 30
HARMLESS = [h for h in hostile_corpus() if h.kind in ("json", "header_size", "schema", "type")]
"""Messages that are wrong whatever scan is open."""


class Sent:
    """A scan as its sender knows it: a message for each part of a row."""

    def __init__(self, number, cuts, resend):
        self.id = f"scan {number}"
        self.counts = a_map((ROWS, COLUMNS), seed=number)
        parts = [(row, lo, hi) for row, cut in enumerate(cuts) for lo, hi in ((0, cut), (cut, COLUMNS)) if lo < hi]
        self.parts = dict(enumerate(parts, start=1))
        more = {"resend": "tcp://127.0.0.1:9"} if resend else {}
        self.start = start(self.id, (ROWS, COLUMNS), **more)
        self.end = end(len(parts) + 1, self.id)
        self.owed = set()
        self.delivered = set()

    def block(self, seq):
        row, lo, hi = self.parts[seq]
        return block(self.counts[row : row + 1, lo:hi], (row, lo), seq, self.id)

    def pixels(self, seqs):
        mask = np.zeros((ROWS, COLUMNS), bool)
        for row, lo, hi in (self.parts[seq] for seq in seqs):
            mask[row, lo:hi] = True
        return mask


class AnySession(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.bench = Bench(stall_s=STALL_S)
        self.scans, self.closed = [], {}
        self.errors = 0
        self.silent_s = 0.0

    @property
    def newest(self):
        return self.scans[-1]

    def receiving(self, sent):
        scan = self.bench.scan(sent.id)
        return scan.open and scan.ended is None and sent is self.newest and self.silent_s < STALL_S

    def feed(self, frames):
        self.bench.feed(frames, scoring=False)

    @rule(cuts=st.lists(st.integers(0, COLUMNS), min_size=ROWS, max_size=ROWS), resend=st.booleans())
    def a_scan_starts(self, cuts, resend):
        self.scans.append(Sent(len(self.scans), cuts, resend))
        self.feed(self.newest.start)
        self.silent_s = 0.0

    @precondition(lambda self: self.scans)
    @rule(data=st.data())
    def a_block_arrives_for_the_first_or_another_time(self, data):
        sent = data.draw(st.sampled_from(self.scans[-2:]))
        seq = data.draw(st.sampled_from(sorted(sent.parts)))
        receiving = self.receiving(sent)
        self.feed(sent.block(seq))
        sent.delivered.add(seq)
        if receiving:
            sent.owed.add(seq)
            self.silent_s = 0.0

    @precondition(lambda self: self.scans)
    @rule()
    def the_start_is_repeated(self):
        receiving = self.receiving(self.newest)
        self.feed(self.newest.start)
        self.silent_s = 0.0 if receiving else self.silent_s

    @precondition(lambda self: self.scans)
    @rule(data=st.data())
    def an_end_arrives(self, data):
        self.feed(data.draw(st.sampled_from(self.scans[-2:])).end)

    @rule(hostile=st.sampled_from(HARMLESS))
    def nonsense_arrives(self, hostile):
        self.feed(hostile.frames)
        self.errors += 1

    @rule()
    def scores_come_in(self):
        self.bench.score()

    @precondition(lambda self: any(scan.open for scan in self.bench.shelf.scans.values()))
    @rule()
    def one_strip_is_scored(self):
        for scan in self.bench.session.active:
            if (strip := scan.next_strip(COLUMNS)) is not None:
                scan.put(strip, fake_scores(strip), version=1, now_ns=self.bench.now)

    @rule(seconds=st.sampled_from([0.0, 0.2, 1.1, 3.0, 31.0]))
    def time_passes(self, seconds):
        self.bench.wait(seconds)
        self.silent_s += seconds

    @rule(answered=st.booleans())
    def a_resend_comes_to_its_end(self, answered):
        session = self.bench.session
        for scan in session.active:
            (session.resend_answered if answered else session.resend_unanswered)(scan.id, now_ns=self.bench.now)

    @rule()
    def the_monitor_is_started_again(self):
        self.errors -= self.bench.session.wire_errors.total()
        self.bench.start()
        self.silent_s = 0.0

    @invariant()
    def every_pixel_is_the_senders_or_missing(self):
        for sent in self.scans:
            arrays = self.bench.scan(sent.id).assembly.arrays
            there = arrays.pixel_seq > 0
            np.testing.assert_array_equal(arrays.counts[there], sent.counts[there])
            assert (sent.pixels(sent.owed) <= there).all(), "nothing that a receiving scan was sent is lost"
            assert (there <= sent.pixels(sent.delivered)).all()

    @invariant()
    def every_refusal_is_counted_once(self):
        shelved = sum(scan.wire_errors.total() for scan in self.bench.shelf.scans.values())
        assert self.bench.session.wire_errors.total() + shelved == self.errors

    @invariant()
    def a_scan_that_has_left_open_stays_as_it_is(self):
        for scan in self.bench.shelf.scans.values():
            if scan.open:
                continue
            now = (scan.view().state, scan.maps.score.tobytes(), scan.flags.pixels().tobytes())
            assert self.closed.setdefault(scan.id, now) == now
            there = scan.assembly.arrays.pixel_seq > 0
            np.testing.assert_array_equal(np.isfinite(scan.maps.score), there, "whatever is there is scored")
            assert (scan.view().state == "complete") == (there.all() and scan.ended is not None)

    def teardown(self):
        """Whatever happened before, a scan sent whole from now on is as good as any."""
        if not hasattr(self, "bench"):
            return
        self.a_scan_starts([0] * ROWS, resend=True)
        sent = self.newest
        for frames in (*map(sent.block, sent.parts), sent.end):
            self.feed(frames)
        self.bench.wait(0)
        scan = self.bench.scan(sent.id)
        assert scan.view().state == "complete"
        np.testing.assert_array_equal(scan.maps.score, undisturbed(sent.counts).maps.score)


AnySession.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestAnySession = AnySession.TestCase
