"""Ten pages that show the same cost the service little more than one, and each still ends up with what is true."""

import numpy as np
from fake_live import FakeLive, FakeScan
from hypothesis import given, settings
from hypothesis import strategies as st
from test_page_state import Page

from dashboard.looks import Looks
from dashboard.state import Wish


class CountingLive(FakeLive):
    """Counts how often it is asked for rows."""

    asked = 0

    def map_rows(self, scan, since):
        self.asked += 1
        return super().map_rows(scan, since)


def live_with_a_scan():
    live = CountingLive()
    live.start(FakeScan(scan="a", shape=(8, 4)))
    return live


class SharingPage(Page):
    """A page whose messages come from looks that it shares with others."""

    def __init__(self, looks):
        super().__init__(None)
        self.looks, self.seen = looks, None

    def look_at(self, number):
        message, self.seen = self.looks.message(number, wish=self.wish, seen=self.seen, now_ns=number * 10**8)
        if message is not None:
            self.take(message)
        return message


def test_pages_that_show_the_same_are_sent_the_very_same_bytes():
    live = live_with_a_scan()
    looks = Looks(live)
    pages = [SharingPage(looks) for _ in range(10)]
    for number in range(5):
        live.reveal("a", [number])
        messages = {id(page.look_at(number)) for page in pages}
        assert len(messages) == 1
    assert live.asked == 5


def test_a_page_that_joins_later_shares_from_its_second_message_on():
    live = live_with_a_scan()
    looks = Looks(live)
    early = SharingPage(looks)
    early.look_at(0)
    live.reveal("a", [1])
    late = SharingPage(looks)
    assert early.look_at(1) != late.look_at(1)
    live.reveal("a", [2])
    assert early.look_at(2) is late.look_at(2)


def test_a_page_that_shows_another_scan_gets_its_own():
    live = live_with_a_scan()
    live.start(FakeScan(scan="b", shape=(3, 3)))
    looks = Looks(live)
    one, other = SharingPage(looks), SharingPage(looks)
    other.wish = Wish(watch="a")
    one.look_at(0)
    other.look_at(0)
    assert (one.parts["watched"]["scan"], other.parts["watched"]["scan"]) == ("b", "a")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.sets(st.integers(0, 2))), max_size=12))
def test_whoever_looks_whenever_every_page_ends_up_with_what_is_there(steps):
    live = live_with_a_scan()
    looks = Looks(live)
    pages = [SharingPage(looks) for _ in range(3)]
    for number, (row, lookers) in enumerate(steps):
        live.reveal("a", [row])
        for page in lookers:
            pages[page].look_at(number)
    for page in pages:
        page.look_at(len(steps))
        for name, layer in live.map_rows("a", -1).layers.items():
            np.testing.assert_array_equal(page.maps["watched"][name], layer)
