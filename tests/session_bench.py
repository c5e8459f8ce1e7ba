"""A session on a test's bench: messages in, events and maps out, with a clock that the test turns."""

from monitor.core.session import Session
from monitor.core.version import Version
from monitor.core.wire import Limits
from tests.doubles import MemoryShelf, fake_scores
from tests.streams import rows_of

S = 1_000_000_000


class Bench:
    """A session with its shelf, a clock, and a scorer that keeps up."""

    def __init__(self, stall_s=30.0, card=None):
        self.now = 0
        self.shelf = MemoryShelf(card)
        self.stall_s = stall_s
        self.events = []
        self.start()

    def start(self):
        """A session that knows of nothing but what is on the shelf, as after a restart."""
        self.session = Session(shelf=self.shelf, version=Version(), limits=Limits(), stall_s=self.stall_s)
        for scan in self.shelf.reopened():
            self.session.adopt(scan, now_ns=self.now)
        return self

    def feed(self, *messages, scoring=True):
        for frames in messages:
            self.events += self.session.receive(frames, now_ns=self.now)
            if scoring:
                self.score()
        return self

    def wait(self, seconds):
        self.now += int(seconds * S)
        self.score()
        self.events += self.session.tick(self.now)
        self.score()
        self.events += self.session.tick(self.now)
        return self

    def score(self):
        for scan in self.session.active:
            while (strip := scan.next_strip(10)) is not None:
                scan.put(strip, fake_scores(strip), version=1, now_ns=self.now)

    def scan(self, scan="s"):
        return self.session.find(scan)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def undisturbed(counts):
    return Bench().feed(*rows_of(counts)).wait(0).scan()
