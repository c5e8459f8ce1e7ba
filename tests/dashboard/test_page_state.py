"""What a page is told, as a pure function of the live view and of what the page has."""

import msgspec
import numpy as np
import pytest
from fake_live import FakeLive, FakeScan
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.state import HEARTBEAT_NS, Seen, Wish, next_message, read_wish
from monitor.core.flagging import FlagRule
from monitor.core.frame import decode_frame, encode_frame
from monitor.core.live_view import LAYERS
from monitor.core.views import ParentView


class Page:
    """A page as the server sees it: keeps its maps by applying what it is sent, nothing else."""

    def __init__(self, live):
        self.live = live
        self.seen = Seen()
        self.wish = Wish()
        self.now_ns = 0
        self.maps = {}
        self.parts = {}

    def look(self, *, later_ns=100_000_000):
        self.now_ns += later_ns
        message, self.seen = next_message(self.live, wish=self.wish, seen=self.seen, now_ns=self.now_ns)
        return None if message is None else self.take(message)

    def take(self, message):
        header, payload = decode_frame(message)
        self.parts.update({name: header[name] for name in ("scans", "watched", "regions", "rescans") if name in header})
        at = 0
        for entry in header["maps"]:
            rows, columns = entry["shape"]
            if entry["whole"]:
                self.maps[entry["role"]] = {name: np.full((rows, columns), np.nan) for name in entry["layers"]}
            for name in entry["layers"]:
                size = len(entry["rows"]) * columns
                self.maps[entry["role"]][name][entry["rows"]] = payload[at : at + size].reshape(-1, columns)
                at += size
        assert at == payload.size, "the header announces every float of the payload"
        return header


def live_with(*scans):
    live = FakeLive()
    for scan in scans:
        live.start(scan)
    return live


def test_the_payload_of_a_frame_starts_on_four_bytes_whatever_the_header():
    for length in range(9):
        frame = encode_frame({"a": "µ" * length}, [np.arange(3, dtype=np.float32)])
        assert int.from_bytes(frame[:4], "little") % 4 == 0
        header, payload = decode_frame(frame)
        assert header == {"a": "µ" * length}
        assert payload.tolist() == [0, 1, 2]


def test_a_frame_cut_short_is_refused():
    with pytest.raises(ValueError, match="cannot hold"):
        decode_frame(encode_frame({}, [np.zeros(2, np.float32)])[:-1])


def test_the_first_message_holds_the_whole_scan_so_far():
    live = live_with(FakeScan(scan="a", shape=(6, 4)))
    live.reveal("a", [0, 3])
    page = Page(live)
    header = page.look()
    assert header["maps"][0]["whole"] is True
    assert header["maps"][0]["rows"] == list(range(6))
    for name in LAYERS:
        np.testing.assert_array_equal(page.maps["watched"][name], live.scan_of("a").shown[name])


def test_later_messages_hold_changed_rows_alone_and_all_of_them_in_one_step():
    live = live_with(FakeScan(scan="a", shape=(6, 4)))
    page = Page(live)
    page.look()
    live.reveal("a", [1])
    live.reveal("a", [2])
    live.reveal("a", [1])
    header = page.look()
    assert header["maps"][0]["whole"] is False
    assert header["maps"][0]["rows"] == [1, 2]
    assert page.look() is None, "a page that fell behind is told once"
    np.testing.assert_array_equal(page.maps["watched"]["total"], live.scan_of("a").shown["total"])


def test_nothing_is_sent_while_nothing_changes_but_a_heartbeat_each_second():
    live = live_with(FakeScan(scan="a", shape=(6, 4)))
    page = Page(live)
    page.look()
    assert page.look(later_ns=HEARTBEAT_NS - 1) is None
    header = page.look(later_ns=1)
    assert header["health"]["data_age_s"] == 0.3
    assert header["maps"] == []
    assert "scans" not in header
    assert page.look() is None


def test_parts_that_did_not_change_are_not_sent_again():
    live = live_with(FakeScan(scan="a", shape=(6, 4)))
    live.propose("q", "a", (0, 0, 2, 2))
    page = Page(live)
    assert {"scans", "watched", "beside", "regions", "rescans"} <= page.look().keys()
    live.reveal("a", [0])
    assert "rescans" not in page.look()
    live.move("q", "approved")
    header = page.look()
    assert header["rescans"][0]["state"] == "approved"
    assert header["maps"] == []
    assert "scans" not in header


def test_a_new_threshold_alone_is_told_without_rows():
    live = live_with(FakeScan(scan="a", shape=(20, 20), spot=(5, 5, 12, 12)))
    live.reveal("a", range(20))
    page = Page(live)
    before = page.look()["maps"][0]["p_threshold"]
    live.rule = FlagRule(fdr=1e-6)
    live.changed()
    entry = page.look()["maps"][0]
    assert entry["rows"] == []
    assert len(entry["p_threshold"]) == 20, "one a row"
    assert entry["p_threshold"][0] < before[0]


def test_labels_and_the_drift_of_each_row_come_with_the_rows():
    live = live_with(FakeScan(scan="a", shape=(6, 4), labels={(2, 1): 1}, drift_ev=0.3))
    live.reveal("a", [2])
    page = Page(live)
    entry = page.look()["maps"][0]
    assert page.maps["watched"]["label"][2].tolist() == [0, 1, 0, 0]
    assert entry["drift_ev"] == [None, None, pytest.approx(0.3 * np.sin(2), abs=1e-4), None, None, None]
    live.reveal("a", [5])
    assert page.look()["maps"][0]["drift_ev"] == [pytest.approx(0.3 * np.sin(5), abs=1e-4)]


def test_the_newest_scan_is_followed_but_a_rescan_does_not_pull_the_page_away():
    live = live_with(FakeScan(scan="a", shape=(6, 4)))
    page = Page(live)
    page.look()
    live.start(FakeScan(scan="a-child", shape=(3, 3), parent=ParentView(scan="a", region=(0, 0, 2, 2))))
    page.look()
    assert page.parts["watched"]["scan"] == "a"
    live.start(FakeScan(scan="b", shape=(5, 5)))
    header = page.look()
    assert page.parts["watched"]["scan"] == "b"
    assert header["maps"][0]["whole"] is True
    assert page.maps["watched"]["total"].shape == (5, 5)


def test_a_child_whose_parent_is_not_known_is_followed_like_any_other():
    live = live_with(FakeScan(scan="a", shape=(6, 4)))
    live.start(FakeScan(scan="orphan", shape=(3, 3), parent=ParentView(scan="gone", region=(0, 0, 2, 2))))
    page = Page(live)
    page.look()
    assert page.parts["watched"]["scan"] == "orphan"


def test_a_child_is_sent_beside_its_parent_when_asked_for():
    live = live_with(FakeScan(scan="a", shape=(6, 4)))
    live.start(FakeScan(scan="kid", shape=(3, 3), parent=ParentView(scan="a", region=(0, 0, 2, 2))))
    page = Page(live)
    page.look()
    assert "beside" not in page.maps
    page.wish = Wish(watch="a", beside="kid")
    assert [entry["role"] for entry in page.look()["maps"]] == ["beside"]
    live.reveal("kid", [2])
    page.look()
    np.testing.assert_array_equal(page.maps["beside"]["total"], live.scan_of("kid").shown["total"])


def test_a_scan_that_is_not_known_is_watched_as_nothing():
    page = Page(live_with(FakeScan(scan="a", shape=(6, 4))))
    page.wish = Wish(watch="never heard of")
    header = page.look()
    assert header["watched"] is None
    assert header["maps"] == []


def test_with_no_scan_yet_the_page_still_gets_its_health():
    header = Page(FakeLive()).look()
    assert header["watched"] is None
    assert header["health"]["status"] == "ok"


@pytest.mark.parametrize(
    "text",
    [
        None, "", "nonsense", "[]", "null", '{"watch": 3}', '{"watch": ""}', '{"beside": ["a"]}', "[" * 2000,
        '{"watch": "' + "x" * 129 + '"}', '{"watch": "' + "x" * 100_000 + '"}', '{"watch": "\ud800"}',
    ],
)  # fmt: skip
def test_a_wish_that_is_none_is_refused_with_a_reason(text):
    with pytest.raises(ValueError, match=r"wanted JSON|at most"):
        read_wish(text)


def test_a_wish_may_carry_keys_of_a_later_page():
    assert read_wish('{"watch": "a", "zoom": 3}') == Wish(watch="a")


STEPS = ["a", "b", "look", "watch a", "watch newest"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "look", "watch a", "watch newest"]), st.integers(0, 7)), max_size=30)
)
def test_a_page_always_ends_up_with_exactly_what_the_service_has(steps):
    live = live_with(FakeScan(scan="a", shape=(8, 3), seed=1), FakeScan(scan="b", shape=(8, 5), seed=2))
    page = Page(live)
    for what, row in steps:
        if what in ("a", "b"):
            live.reveal(what, [row], missing=[row % 3])
        elif what == "look":
            page.look()
        else:
            page.wish = Wish(watch="a" if what == "watch a" else None)
    page.look()
    watched = page.wish.watch or "b"
    for name in LAYERS:
        np.testing.assert_array_equal(page.maps["watched"][name], live.scan_of(watched).shown[name])
    assert page.parts["watched"] == msgspec.json.decode(
        msgspec.json.encode(next(view for view in live.scans() if view.scan == watched))
    )


def test_what_is_kept_of_a_page_does_not_grow_with_the_scan():
    live = live_with(FakeScan(scan="a", shape=(400, 400)))
    live.reveal("a", range(400))
    page = Page(live)
    page.look()
    kept = sum(len(text) for text in page.seen.parts.values())
    for row in range(400):
        live.reveal("a", [row])
        page.look()
    assert sum(len(text) for text in page.seen.parts.values()) < kept + 100
    assert set(page.seen.maps) == {"watched"}
