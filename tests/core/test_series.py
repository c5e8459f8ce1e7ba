"""A numbered series of spectra becomes a scan: what the messages say, and what a session makes of them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.axes import ScanGrid
from monitor.core.errors import WireError
from monitor.core.series import SERIES_KEPT, SeriesScans
from monitor.core.session import Session
from monitor.core.version import Version
from monitor.core.wire import Limits
from tests.doubles import MemoryShelf, fake_scores

GRID = ScanGrid(rows=3, columns=4)
PIXELS = 12


def some_scans():
    return SeriesScans(grid=GRID, offset_ev=420.0, step_ev=10.0)


def counts_of(number):
    return np.arange(40, dtype="<u4") + 1000 * number


def image(scans, number, scan="a"):
    return scans.image(scan, number=number, spectrum=counts_of(number), title="series 7", t_ns=1)


def headers(messages):
    return [json.loads(frames[0]) for frames in messages]


def scored(messages, session=None):
    """The session after these messages, its scans scored and its clock gone on."""
    session = (
        session
        if session is not None
        else Session(shelf=MemoryShelf(), version=Version(), limits=Limits(), stall_s=30.0)
    )
    for frames in messages:
        list(session.receive(frames, now_ns=0))
    for seconds in range(3):
        for scan in session.active:
            while (strip := scan.next_strip(10)) is not None:
                scan.put(strip, fake_scores(strip), version=1, now_ns=0)
        list(session.tick(seconds * 1_000_000_000))
    return session


def test_the_first_image_opens_the_scan_and_each_is_the_block_of_its_pixel():
    scans = some_scans()
    scan_start, first = headers(image(scans, 0))
    (sixth,) = headers(image(scans, 6))
    assert (scan_start["type"], scan_start["seq"], scan_start["shape"]) == ("scan_start", 0, [3, 4])
    assert scan_start["energy"] == {"offset_ev": 420.0, "step_ev": 10.0, "size": 40}
    assert (scan_start["dtype"], scan_start["title"]) == ("<u4", "series 7")
    assert (first["seq"], first["origin"], first["shape"]) == (1, [0, 0], [1, 1])
    assert (sixth["seq"], sixth["origin"], sixth["shape"]) == (7, [1, 2], [1, 1])


@given(order=st.permutations(range(PIXELS)))
def test_images_in_any_order_make_the_same_complete_scan(order):
    scans = some_scans()
    messages = [message for number in order for message in image(scans, number)]
    session = scored([*messages, *scans.end("a", t_ns=1)])
    scan = session.find("a")
    assert not session.wire_errors
    assert not scan.wire_errors
    assert scan.record.state == "complete"
    expected = np.stack([counts_of(number) for number in range(PIXELS)]).reshape(3, 4, 40)
    assert np.array_equal(scan.assembly.arrays.counts, expected)


def test_images_that_another_client_took_are_missing_pixels():
    scans = some_scans()
    messages = [message for number in range(1, PIXELS, 2) for message in image(scans, number)]
    scan = scored([*messages, *scans.end("a", t_ns=1)]).find("a")
    assert scan.record.state == "incomplete"
    assert scan.assembly.received_pixels == PIXELS // 2


def test_a_series_that_stops_short_is_an_aborted_scan():
    scans = some_scans()
    messages = [message for number in range(5) for message in image(scans, number)]
    (ended,) = headers(end := scans.end("a", t_ns=1))
    assert (ended["reason"], ended["seq"], ended["blocks"]) == ("aborted", 6, 5)
    assert scored([*messages, *end]).find("a").record.state == "aborted"


def test_a_source_that_starts_anew_in_the_middle_of_a_series_goes_on_with_its_scan():
    earlier, later = some_scans(), some_scans()
    first = [message for number in range(5) for message in image(earlier, number)]
    rest = [message for number in range(5, PIXELS) for message in image(later, number)]
    session = scored([*first, *rest, *later.end("a", t_ns=1)])
    assert session.find("a").record.state == "complete"
    assert not session.find("a").wire_errors


def test_an_end_alone_closes_the_scan_of_an_earlier_run():
    earlier = some_scans()
    messages = [message for number in range(PIXELS) for message in image(earlier, number)]
    assert scored([*messages, *some_scans().end("a", t_ns=1)]).find("a").record.state == "complete"


def test_a_new_series_is_a_new_scan_and_late_images_still_find_theirs():
    scans = some_scans()
    messages = [*image(scans, 0, "a"), *image(scans, 0, "b"), *image(scans, 1, "a"), *image(scans, 1, "b")]
    kinds = [(h["type"], h["scan"]) for h in headers(messages)]
    assert kinds == [
        ("scan_start", "a"),
        ("block", "a"),
        ("scan_start", "b"),
        ("block", "b"),
        ("block", "a"),
        ("block", "b"),
    ]


def test_only_the_latest_series_are_remembered():
    scans = some_scans()
    for number in range(SERIES_KEPT + 1):
        image(scans, 0, f"s{number}")
    assert [h["type"] for h in headers(image(scans, 1, "s1"))] == ["block"]
    assert [h["type"] for h in headers(image(scans, 1, "s0"))] == ["scan_start", "block"]


def test_a_series_without_images_says_nothing():
    scans = some_scans()
    scans.start("a", images=PIXELS)
    assert scans.end("a", t_ns=1) == []


def test_a_series_of_another_number_of_images_is_told_and_taken():
    scans = some_scans()
    with pytest.raises(WireError, match=r"series has 13 images, a scan of 3 x 4 takes 12; check --scan-rows") as told:
        scans.start("a", images=13)
    assert (told.value.kind, told.value.scan) == ("series", "a")
    assert len(image(scans, 0)) == 2


def test_an_image_beyond_the_scan_is_refused_and_opens_nothing():
    scans = some_scans()
    with pytest.raises(WireError, match="image 12 lies beyond a scan of 3 x 4") as refused:
        image(scans, 12)
    assert refused.value.kind == "bounds"
    assert len(image(scans, 11)) == 2


@pytest.mark.parametrize("spectrum", [np.ones(39, "<u4"), np.ones(40, "<f4")], ids=["width", "type"])
def test_an_image_unlike_the_first_of_its_series_is_refused(spectrum):
    scans = some_scans()
    image(scans, 0)
    with pytest.raises(WireError, match="its series began with 40 of <u4") as refused:
        scans.image("a", number=1, spectrum=spectrum, title="series 7", t_ns=1)
    assert refused.value.kind == "shape"
