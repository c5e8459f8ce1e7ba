"""The newest rows get a verdict at once, and the final one when their neighbourhood is complete."""

import numpy as np
import pytest

from monitor.core.flagging import FlagRule
from tests.core.test_session import Bench, undisturbed
from tests.doubles import MemoryShelf, a_card
from tests.streams import a_map, block, end, rows_of, start

HALO = 2
SHAPE = (8, 5)


def bench_with(rule=None):
    bench = Bench()
    bench.shelf = bench.session._shelf = MemoryShelf(a_card(halo_rows=HALO), rule)
    return bench


def a_stream():
    return rows_of(a_map(shape=SHAPE))


def test_the_newest_row_is_scored_at_once_and_says_that_this_is_provisional():
    scan = bench_with().feed(*a_stream()[:2]).scan()
    assert np.isfinite(scan.maps.score[0]).all()
    assert scan.provisional.tolist() == [True] + [False] * 7
    pixels = scan.view().pixels
    assert (pixels.scored, pixels.provisional) == (0, 5)


def test_rows_become_final_when_the_rows_around_them_are_in():
    bench, messages = bench_with(), a_stream()
    for n in range(1, 9):
        bench.feed(*messages[n - 1 : n + 1] if n == 1 else messages[n : n + 1])
        assert np.isfinite(bench.scan().maps.score[:n]).all()
        final = max(n - HALO, 0) if n < 8 else 8
        assert bench.scan().provisional.tolist() == [final <= row < n for row in range(8)]


def test_the_finished_map_is_that_of_a_scan_scored_in_one_go():
    late = bench_with().feed(*a_stream(), scoring=False).wait(0).scan()
    at_once = bench_with().feed(*a_stream()).wait(0).scan()
    assert not at_once.provisional.any()
    np.testing.assert_array_equal(at_once.maps.score, late.maps.score)
    np.testing.assert_array_equal(at_once.flags.pixels(), late.flags.pixels())


def test_while_final_scores_wait_none_is_provisional():
    bench = bench_with().feed(*a_stream()[:-1], scoring=False)
    strip = bench.scan().next_strip(10)
    assert (strip.row0, strip.row1, strip.stop) == (0, 2, 2)


def test_a_provisional_flag_is_shown_and_proposes_nothing():
    counts = a_map(shape=SHAPE)
    counts[3] += 4000
    bench = bench_with(FlagRule(false_flags=4.0)).feed(*rows_of(counts)[:5])
    scan = bench.scan()
    assert scan.provisional[3]
    assert scan.flags.pixels()[3].any()
    assert scan.flags.regions() == []
    bench.feed(*rows_of(counts)[5:])
    assert scan.flags.regions() != []


def test_a_provisional_verdict_spends_none_of_the_false_discoveries():
    row_by_row = bench_with(FlagRule(fdr=0.05)).feed(*a_stream()[:-1]).scan()
    at_once = bench_with(FlagRule(fdr=0.05)).feed(*a_stream()[:-1], scoring=False)
    at_once.score()
    np.testing.assert_array_equal(row_by_row.flags.thresholds()[:6], at_once.scan().flags.thresholds()[:6])


def test_another_rule_judges_provisional_rows_too():
    scan = bench_with(FlagRule(false_flags=1.0)).feed(*a_stream()[:2]).scan()
    scan.flags.change(FlagRule(false_flags=4.0))
    assert scan.flags.thresholds()[0] == pytest.approx(4.0 / 40)


def test_rows_beside_a_lost_block_are_final_once_it_cannot_come():
    messages = a_stream()
    bench = bench_with().feed(*messages[:3], *messages[4:8])
    scan = bench.scan()
    assert scan.provisional.tolist() == [True, True, False, True, True, True, True, False]
    bench.wait(0).wait(1.1)
    assert scan.provisional.tolist() == [False] * 5 + [True] * 2 + [False]
    assert scan.open


def test_rows_beside_a_lost_block_are_scored_again_when_it_comes_after_all():
    counts, messages = a_map(shape=SHAPE), a_stream()
    bench = bench_with().feed(*messages[:3], *messages[4:8]).wait(0).wait(1.1)
    bench.feed(block(counts[2:3], (2, 0), 3), *messages[8:]).wait(0)
    assert bench.scan().view().state == "complete"
    np.testing.assert_array_equal(bench.scan().maps.score, undisturbed(counts).maps.score)


def test_what_may_still_be_asked_for_is_waited_for():
    messages = [start(shape=SHAPE, resend="tcp://127.0.0.1:9"), *a_stream()[1:]]
    scan = bench_with().feed(*messages[:3], *messages[4:8]).wait(0).wait(1.1).scan()
    assert scan.provisional[1]


def test_rows_still_to_come_are_not_given_up():
    messages = a_stream()
    scan = bench_with().feed(messages[0], messages[1], *messages[3:5]).wait(0).wait(5).scan()
    assert scan.provisional.tolist() == [False] * 2 + [True] * 2 + [False] * 4


def test_a_scan_that_ends_early_leaves_nothing_provisional():
    scan = bench_with().feed(*a_stream()[:5], end(5, reason="aborted")).wait(0).scan()
    assert scan.view().state == "aborted"
    assert not scan.provisional.any()
    assert scan.view().pixels.scored == 20
