"""The sender in docs/sources.md is run as its readers get it, against a monitor that loses messages or comes late."""

import json
import time
from contextlib import closing

import numpy as np
import pytest
import zmq

from monitor.commands.demo import free_port
from monitor.core.events import ResendWanted
from monitor.core.messages import ResendRequest
from monitor.core.session import Session
from monitor.core.version import Version
from monitor.core.wire import Limits, decode_resend_end, encode
from monitor.files.curve_keys import KeyPair
from monitor.io.curve import CurveClient
from tests.documents import SOURCES, code_of
from tests.doubles import MemoryShelf, fake_scores
from tests.streams import a_map

S = 1_000_000_000


@pytest.fixture
def sender(request):
    """The sender of docs/sources.md, as its readers get it, at free ports; the parameter is its pair of keys."""
    space = {"__name__": "sender"}
    exec(compile(code_of(SOURCES, "python")[0], str(SOURCES), "exec"), space)
    keys = getattr(request, "param", None)
    made = space["Sender"](*(f"tcp://127.0.0.1:{free_port()}" for _ in range(2)), keys)
    yield made
    made.context.destroy(linger=0)


class Monitor:
    """A session behind real sockets that loses the messages whose seq is in `lose`; its clock goes as it is told."""

    def __init__(self, sender, curve=None):
        self.session = Session(shelf=MemoryShelf(), version=Version(), limits=Limits(), stall_s=30.0)
        self.lose, self.seconds, self.answers = (), 0, 0
        self._sender, self._context = sender, zmq.Context()
        self._stream, self._resend = self._context.socket(zmq.SUB), self._context.socket(zmq.DEALER)
        self._stream.subscribe(b"")
        for socket in (self._stream, self._resend) if curve is not None else ():
            curve.secure(socket)
        self._stream.connect(sender.stream.last_endpoint.decode())
        self._resend.connect(sender.resend)

    def close(self):
        self._context.destroy(linger=0)

    def until(self, done):
        """Take what comes while the sender attends to its requests; fails where `done` stays false."""
        deadline_s = time.monotonic() + 20.0
        while not done():
            assert time.monotonic() < deadline_s
            self._sender.attend(0.02)
            while self._stream.poll(0):
                frames = self._stream.recv_multipart()
                if json.loads(frames[0])["seq"] not in self.lose:
                    self._take(frames)
            while self._resend.poll(0):
                frames = self._resend.recv_multipart()
                if decode_resend_end(frames) is None:
                    self._take(frames)
                else:
                    self.answers += 1
                    self.session.resend_answered("s", now_ns=self.seconds * S)

    def let_pass(self, seconds):
        """Time passes; what is due is asked for. Gives the ranges asked for."""
        wanted = []
        for _ in range(seconds):
            self.seconds += 1
            wanted += [e for e in self.session.tick(self.seconds * S) if isinstance(e, ResendWanted)]
        for event in wanted:
            assert event.endpoint == self._sender.resend
            self._resend.send_multipart(encode(ResendRequest(scan=event.scan, ranges=event.ranges)))
        return [event.ranges for event in wanted]

    def _take(self, frames):
        list(self.session.receive(frames, now_ns=self.seconds * S))
        for scan in self.session.active:
            while (strip := scan.next_strip(10)) is not None:
                scan.put(strip, fake_scores(strip), version=1, now_ns=self.seconds * S)

    def holds(self, counts):
        """True once the scan is complete and has these counts; nothing that came may have been refused."""
        scan = self.session.find("s")
        assert not self.session.wire_errors
        assert not scan.wire_errors
        return scan.record.state == "complete" and np.array_equal(scan.assembly.arrays.counts, counts)


@pytest.fixture
def monitor(sender):
    made = Monitor(sender)
    yield made
    made.close()


def begin(sender, counts):
    sender.start("s", counts.shape[:2], {"offset_ev": 420.0, "step_ev": 10.0, "size": 40}, title="test")


def test_the_sender_shown_resends_what_a_monitor_lost(sender, monitor):
    counts = a_map((12, 5))
    begin(sender, counts)
    monitor.until(lambda: monitor.session.active)
    monitor.lose = (3, 4, 9)
    for row in range(12):
        sender.block(counts[row : row + 1], row)
        sender.attend()
    sender.end()
    monitor.until(lambda: monitor.session.find("s").ended is not None)
    monitor.let_pass(1)
    assert monitor.let_pass(1) == [[(3, 4), (9, 9)]]
    monitor.until(lambda: monitor.answers)
    assert monitor.let_pass(1) == []
    assert monitor.holds(counts)


def test_the_sender_shown_resends_all_to_a_monitor_that_comes_when_all_is_over(sender):
    counts = a_map((6, 5))
    begin(sender, counts)
    for row in range(6):
        sender.block(counts[row : row + 1], row)
    sender.end()
    with closing(Monitor(sender)) as monitor:
        monitor.until(lambda: monitor.session.active)
        assert monitor.let_pass(2) == [[(1, None)]]
        monitor.until(lambda: monitor.answers)
        monitor.let_pass(1)
        assert monitor.holds(counts)


KEYS = zmq.curve_keypair()


@pytest.mark.parametrize("sender", [KEYS], indirect=True, ids=["keys"])
def test_the_sender_shown_encrypts_its_stream_and_its_resends(sender):
    counts = a_map((6, 5))
    begin(sender, counts)
    for row in range(6):
        sender.block(counts[row : row + 1], row)
    sender.end()
    with closing(Monitor(sender, CurveClient(source=KEYS[0], own=KeyPair(*zmq.curve_keypair())))) as monitor:
        monitor.until(lambda: monitor.session.active)
        assert monitor.let_pass(2) == [[(1, None)]]
        monitor.until(lambda: monitor.answers)
        monitor.let_pass(1)
        assert monitor.holds(counts)


def test_the_blocks_shown_for_serpentine_and_partial_rows_land_where_they_belong(sender, monitor):
    counts = a_map((12, 48))
    visited = counts.copy()
    visited[7] = counts[7, ::-1]
    begin(sender, counts)
    monitor.until(lambda: monitor.session.active)
    exec(compile(code_of(SOURCES, "python")[1], str(SOURCES), "exec"), {"sender": sender, "counts": visited})
    sender.end()
    monitor.until(lambda: monitor.session.find("s").ended is not None)
    arrays = monitor.session.find("s").assembly.arrays
    expected = np.zeros((12, 48), bool)
    expected[6, 32:] = expected[7:] = True
    assert np.array_equal(arrays.pixel_seq > 0, expected)
    assert np.array_equal(arrays.counts[expected], counts[expected])
