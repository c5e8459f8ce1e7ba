"""A scan as a list of messages in and a list of events out, with a fake clock."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.errors import WireError
from monitor.core.events import ResendWanted, ScanClosed, ScanOpened
from tests.doubles import a_card
from tests.session_bench import Bench, undisturbed
from tests.streams import a_map, block, end, hostile_corpus, rows_of, start


def test_a_whole_scan_is_complete_once_its_last_score_is_in():
    bench = Bench().feed(*rows_of(a_map()), scoring=False)
    assert bench.scan().view().state == "open"
    bench.wait(0)
    view = bench.scan().view()
    assert view.state == "complete"
    assert (view.pixels.received, view.pixels.scored, view.pixels.missing) == (30, 30, 0)
    assert [type(event) for event in bench.events] == [ScanOpened, ScanClosed]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_order_split_and_duplication_gives_the_same_maps(data):
    counts = a_map()
    parts = []
    for row in range(6):
        cut = data.draw(st.integers(0, 5))
        parts += [(row, lo, hi) for lo, hi in ((0, cut), (cut, 5)) if lo < hi]
    parts = data.draw(st.permutations(parts))
    messages = [block(counts[r : r + 1, a:b], (r, a), seq) for seq, (r, a, b) in enumerate(parts, start=1)]
    twice = data.draw(st.lists(st.sampled_from(messages), max_size=5))
    shuffled = data.draw(st.permutations(messages + twice))
    bench = Bench().feed(start(), *shuffled, end(len(parts) + 1)).wait(0)
    scan, reference = bench.scan(), undisturbed(counts)
    assert scan.view().state == "complete"
    assert scan.view().blocks.duplicate == len(twice)
    np.testing.assert_array_equal(scan.assembly.arrays.counts, counts)
    np.testing.assert_array_equal(scan.maps.score, reference.maps.score)
    np.testing.assert_array_equal(scan.maps.p_value, reference.maps.p_value)
    np.testing.assert_array_equal(scan.flags.pixels(), reference.flags.pixels())


@pytest.mark.parametrize("hostile", hostile_corpus(), ids=lambda h: h.name)
def test_a_hostile_message_costs_one_counted_error_and_nothing_else(hostile):
    counts = a_map()
    first, *rest = rows_of(counts)
    bench = Bench().feed(first, rest[0], hostile.frames, *rest[1:]).wait(0)
    session, scan = bench.session, bench.scan()
    assert session.wire_errors + scan.wire_errors == {hostile.kind: 1}
    assert scan.view().state == "complete"
    np.testing.assert_array_equal(scan.maps.score, undisturbed(counts).maps.score)


def test_an_error_counts_under_the_scan_that_its_header_names_and_only_there():
    bench = Bench().feed(start(), [b'{"schema": "other", "scan": "s"}'], [b'{"schema": "other", "scan": "unknown"}'])
    assert bench.scan().wire_errors == {"schema": 1}
    assert bench.session.wire_errors == {"schema": 1}


def test_not_finite_counts_are_refused_and_their_seq_counts_as_not_received():
    counts = a_map(dtype="<f4")
    bad = counts[0:1].copy()
    bad[0, 0, 3] = np.inf
    first, *rest = rows_of(counts)
    bench = Bench().feed(first, block(bad, (0, 0), 1), *rest).wait(0)
    assert bench.scan().wire_errors == {"not_finite": 1}
    assert bench.scan().view().state == "complete"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "reversed"])
def test_of_two_blocks_that_differ_the_higher_seq_wins_whatever_the_order(order):
    counts, other = a_map(), a_map(seed=1)
    versions = [block(counts[2:3], (2, 0), 3), block(other[2:3, 1:3], (2, 1), 7)]
    messages = rows_of(counts)
    rest = [m for i, m in enumerate(messages[1:-1]) if i != 2]
    bench = Bench().feed(messages[0], *rest, *(versions[i] for i in order), end(8)).wait(0)
    wanted = counts.copy()
    wanted[2, 1:3] = other[2, 1:3]
    scan = bench.scan()
    np.testing.assert_array_equal(scan.assembly.arrays.counts, wanted)
    np.testing.assert_array_equal(scan.maps.score, undisturbed(wanted).maps.score)
    assert (scan.view().blocks.replaced, scan.view().blocks.duplicate) == (1, 0)


def test_a_block_with_the_same_counts_under_a_new_seq_is_a_duplicate():
    counts = a_map()
    messages = rows_of(counts)
    bench = Bench().feed(*messages[:-1], block(counts[0:1], (0, 0), 7), end(8)).wait(0)
    view = bench.scan().view()
    assert (view.blocks.received, view.blocks.duplicate, view.state) == (6, 1, "complete")


def test_lost_blocks_without_resend_stay_missing_and_out_of_their_neighbours_scores():
    counts = a_map()
    messages = rows_of(counts)
    bench = Bench().feed(*messages[:3], *messages[4:]).wait(2)
    view = bench.scan().view()
    assert view.state == "incomplete"
    assert (view.pixels.received, view.pixels.missing, view.pixels.scored) == (25, 5, 25)
    assert np.isnan(bench.scan().maps.score[2]).all()
    assert np.isfinite(np.delete(bench.scan().maps.score, 2, axis=0)).all()


def test_a_gap_is_asked_for_where_there_is_an_endpoint_and_closes_when_filled():
    counts = a_map()
    _, *rest = rows_of(counts)
    bench = Bench().feed(start(resend="tcp://127.0.0.1:9"), *rest[:2], *rest[3:]).wait(0).wait(1)
    assert [event.ranges for event in bench.of(ResendWanted)] == [[(3, 3)]]
    assert bench.scan().view().state == "open"
    bench.feed(rest[2]).wait(0)
    assert bench.scan().view().state == "complete"


def test_what_the_source_does_not_hold_is_asked_for_again_and_given_up_at_last():
    counts = a_map()
    _, *rest = rows_of(counts)
    bench = Bench(stall_s=10).feed(start(resend="tcp://127.0.0.1:9"), *rest[1:]).wait(0).wait(1)
    bench.session.resend_answered("s", now_ns=bench.now)
    bench.wait(0.5).wait(1)
    assert len(bench.of(ResendWanted)) == 2
    bench.wait(10)
    assert bench.scan().view().state == "incomplete"


def test_a_late_join_asks_for_the_beginning_and_a_silence_for_the_tail():
    _, *rest = rows_of(a_map())
    bench = Bench().feed(start(resend="tcp://127.0.0.1:9"), rest[3]).wait(0).wait(3)
    assert bench.of(ResendWanted)[0].ranges == [(1, 3), (5, None)]


def test_another_scan_start_ends_the_open_scan_as_incomplete():
    bench = Bench().feed(*rows_of(a_map())[:4], start(scan="t")).wait(0)
    assert bench.scan("s").view().state == "incomplete"
    assert bench.scan("s").view().pixels.scored == 15
    assert bench.scan("t").view().state == "open"


def test_a_scan_cut_short_is_asked_for_until_its_source_has_no_more():
    messages = rows_of(a_map())
    bench = Bench().feed(start(resend="tcp://127.0.0.1:9"), *messages[1:3], messages[4], start(scan="t")).wait(0.1)
    assert [event.ranges for event in bench.of(ResendWanted)] == [[(3, 3), (5, None)]]
    bench.feed(messages[5]).session.resend_answered("s", now_ns=bench.now)
    bench.wait(1.1)
    assert [event.ranges for event in bench.of(ResendWanted)][1:] == [[(3, 3), (6, None)]]
    bench.session.resend_answered("s", now_ns=bench.now)
    assert bench.wait(1).scan("s").view().state == "open"
    assert bench.wait(2).scan("s").view().state == "incomplete"
    assert bench.scan("s").view().pixels.received == 20


def test_a_scan_cut_short_whose_rest_is_resent_is_complete():
    messages = rows_of(a_map())
    bench = Bench().feed(start(resend="tcp://127.0.0.1:9"), *messages[1:3], start(scan="t")).wait(0.1)
    assert bench.feed(*messages[3:]).wait(0).scan("s").view().state == "complete"


def test_a_scan_start_that_cannot_be_recorded_ends_nothing():
    bench = Bench().feed(*rows_of(a_map())[:4])

    def refuse(started):
        raise WireError("no_room", "the disk is full", scan=started.scan)

    bench.shelf.create = refuse
    bench.feed(start(scan="t"), *rows_of(a_map())[4:]).wait(0)
    assert bench.scan("s").view().state == "complete"
    assert bench.session.wire_errors == {"no_room": 1}


def test_a_repeat_while_an_ended_scan_waits_for_its_gap_is_a_duplicate():
    messages = rows_of(a_map())
    bench = Bench().feed(*messages[:3], *messages[4:], messages[1]).wait(0)
    assert (bench.scan().view().blocks.duplicate, bench.scan().view().blocks.stray) == (1, 0)


def test_an_answer_to_a_resend_speaks_of_its_own_scan_only():
    bench = Bench().feed(start())
    list(bench.session.receive(start(scan="t"), now_ns=0, resent="s"))
    assert bench.scan("t") is None
    assert bench.scan("s").wire_errors == {"resend": 1}


def test_silence_ends_the_open_scan_as_incomplete_but_a_repeated_start_keeps_it():
    bench = Bench(stall_s=30).feed(*rows_of(a_map())[:4]).wait(20).feed(start()).wait(20)
    assert bench.scan().view().state == "open"
    bench.wait(11)
    assert bench.scan().view().state == "incomplete"


@pytest.mark.parametrize("reason", ["aborted", "error"])
def test_an_aborted_scan_says_so_and_keeps_what_it_has(reason):
    bench = Bench().feed(*rows_of(a_map())[:4], end(4, reason=reason)).wait(0)
    view = bench.scan().view()
    assert (view.state, view.pixels.scored, view.pixels.missing) == ("aborted", 15, 15)


def test_blocks_of_an_ended_and_of_an_unknown_scan_are_stray():
    counts = a_map()
    bench = (
        Bench().feed(*rows_of(counts)).wait(0).feed(block(counts[0:1], (0, 0), 9), block(counts[0:1], (0, 0), 1, "x"))
    )
    bench.feed(end(4, "x"))
    assert bench.scan().view().blocks.stray == 1
    assert bench.session.stray == 2
    assert bench.session.unknown_scans(bench.now) == []
    bench.wait(6)
    assert bench.session.unknown_scans(bench.now) == ["x"]


def test_an_axis_that_does_not_cover_the_models_is_recorded_not_scored_and_says_why():
    energy = {"offset_ev": 100.0, "step_ev": 1.0, "size": 40}
    bench = Bench().feed(start(energy=energy), *rows_of(a_map())[1:]).wait(0)
    view = bench.scan().view()
    assert (view.state, view.pixels.received, view.pixels.scored) == ("complete", 30, 0)
    assert "does not cover" in view.why


def test_a_rows_final_score_waits_for_its_halo_and_no_longer():
    bench = Bench(card=a_card(halo_rows=1))
    messages = rows_of(a_map())
    bench.feed(*messages[:3])
    assert bench.scan().view().pixels.scored == 5
    bench.feed(messages[3])
    assert bench.scan().view().pixels.scored == 10


def test_an_open_scan_of_an_earlier_run_goes_on_where_it_was():
    counts = a_map()
    bench = Bench().feed(*rows_of(counts)[:4]).start().feed(*rows_of(counts)[4:]).wait(0)
    assert bench.scan().view().state == "complete"
    np.testing.assert_array_equal(bench.scan().maps.score, undisturbed(counts).maps.score)
