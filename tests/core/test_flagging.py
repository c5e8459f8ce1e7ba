"""One threshold, stated in two ways; rows judged as they come, and the whole map at the end."""

import msgspec
import numpy as np
import pytest

from monitor.core.axes import ScanGrid
from monitor.core.calibration import discovery_threshold
from monitor.core.errors import UsageError
from monitor.core.flagging import FlagRule, RunningFlags
from tests.core.test_session import Bench
from tests.doubles import MemoryShelf, a_card
from tests.streams import a_map, block, end, rows_of, start

GRID = ScanGrid(rows=4, columns=50)
WELL_KNOWN = msgspec.structs.replace(a_card().calibration, pixels=10**9)


def some_p(seed=0):
    p = np.random.default_rng(seed).uniform(size=GRID.shape)
    p[1, :3] = 1e-7
    return p


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"fdr": 0.1, "false_flags": 1.0},
        *({"fdr": number} for number in (0.0, 1.0, np.nan)),
        *({"false_flags": number} for number in (0.0, np.inf, np.nan)),
    ],
)
def test_a_rule_is_one_number_in_its_range(given):
    with pytest.raises(UsageError):
        FlagRule(**given)


def test_without_a_wish_one_flag_in_a_hundred_may_be_false():
    assert FlagRule.asked(fdr=None, false_flags=None) == FlagRule(fdr=0.01)
    assert FlagRule.asked(fdr=None, false_flags=2.0) == FlagRule(false_flags=2.0)


def test_a_number_of_false_flags_is_what_clean_scans_have_on_average():
    rng, rule = np.random.default_rng(5), FlagRule(false_flags=2.0)
    flags = [(p <= rule.threshold(p, p.size, WELL_KNOWN)).sum() for p in rng.uniform(size=(400, 1000))]
    assert np.mean(flags) == pytest.approx(2.0, abs=3 * np.sqrt(2 / 400))


def test_a_rule_never_reaches_pixels_that_are_merely_labelled():
    assert FlagRule(false_flags=1e6).threshold(np.ones(10), 10, WELL_KNOWN) < 1
    assert FlagRule(fdr=0.99).threshold(np.full(10, 0.98), 10, WELL_KNOWN) < 1


def test_the_less_a_calibration_is_known_by_the_lower_a_p_value_has_to_be():
    p, rule = np.append(np.full(990, 0.5), np.geomspace(1e-9, 1e-2, 10)), FlagRule(fdr=0.05)
    thresholds = [rule.threshold(p, p.size, msgspec.structs.replace(WELL_KNOWN, pixels=n)) for n in (10**9, 3000, 200)]
    assert thresholds[0] == discovery_threshold(p, 0.05)
    assert thresholds[0] > thresholds[1] > thresholds[2] > 0


def test_a_rules_words_name_it():
    assert str(FlagRule(fdr=0.05)) == "a false discovery rate of 0.05"
    assert str(FlagRule(false_flags=1)) == "about 1 false flag per scan"


def test_a_number_of_false_flags_judges_every_row_alike_while_it_comes():
    running = RunningFlags(FlagRule(false_flags=4.0), GRID, WELL_KNOWN)
    running.scored([2], some_p())
    assert running.thresholds().tolist() == pytest.approx([0, 0, 4 / 200, 0])


def test_a_row_keeps_the_threshold_of_its_first_score():
    running, p = RunningFlags(FlagRule(fdr=0.1), GRID, WELL_KNOWN), some_p()
    running.scored([1], p)
    before = running.thresholds()[1]
    running.scored([1], np.full_like(p, 0.5))
    assert running.thresholds()[1] == before > 0


def test_a_row_without_a_score_is_not_judged_yet():
    running, p = RunningFlags(FlagRule(fdr=0.1), GRID, WELL_KNOWN), some_p()
    running.scored([1], np.full_like(p, np.nan))
    assert running.thresholds()[1] == 0
    running.scored([1], p)
    assert running.thresholds()[1] > 0


def test_after_a_change_of_the_rule_rows_stand_as_if_they_had_come_under_it_in_their_order():
    p = some_p()
    changed, fresh = (
        RunningFlags(FlagRule(fdr=1e-6), GRID, WELL_KNOWN),
        RunningFlags(FlagRule(fdr=0.2), GRID, WELL_KNOWN),
    )
    for row in (3, 1, 0):
        changed.scored([row], p)
        fresh.scored([row], p)
    changed.change(FlagRule(fdr=0.2), p)
    np.testing.assert_array_equal(changed.thresholds(), fresh.thresholds())


def bright_map():
    counts = a_map(shape=(20, 20))
    counts[4:6, 4:6] += 400
    return counts


def feed(order, rule=None, stop=None):
    counts, bench = bright_map(), Bench()
    bench.shelf = bench.session._shelf = MemoryShelf(rule=rule)
    blocks = [block(counts[row : row + 1], (row, 0), seq) for seq, row in enumerate(order, start=1)]
    bench.feed(start(shape=counts.shape[:2]), *blocks[:stop])
    return bench if stop is not None else bench.feed(end(len(blocks) + 1)).wait(0)


def test_a_finished_scan_is_flagged_by_its_whole_map_whatever_the_order_of_its_rows():
    forth, back = feed(range(20)).scan(), feed(range(19, -1, -1)).scan()
    assert forth.flags.pixels().any()
    np.testing.assert_array_equal(forth.flags.pixels(), back.flags.pixels())
    raised = forth.card.calibration.raised(forth.maps.p_value)
    np.testing.assert_array_equal(forth.flags.pixels(), raised <= discovery_threshold(raised, 0.05))


def test_an_open_scan_is_flagged_row_by_row_and_says_by_which_rule():
    scan = feed(range(20), stop=12).scan()
    view = scan.view()
    assert (view.state, view.fdr, view.false_flags) == ("open", 0.05, None)
    assert view.pixels.flagged == scan.flags.pixels().sum() > 0
    assert len(set(scan.flags.thresholds())) > 1
    assert (scan.flags.thresholds()[12:] == 0).all()


def test_a_scan_flags_by_another_rule_as_soon_as_it_is_set():
    scan = feed(range(20), stop=12).scan()
    scan.flags.change(FlagRule(false_flags=4.0))
    assert scan.view().false_flags == 4.0
    np.testing.assert_array_equal(scan.flags.pixels(), scan.maps.p_value <= 4 / 400)


def test_a_replaced_pixel_is_judged_anew_at_the_threshold_of_its_row():
    bench = feed(range(20), stop=12)
    before = bench.scan().flags.thresholds().copy()
    assert bench.scan().flags.pixels()[4, 4]
    bench.feed(block(a_map(shape=(20, 20))[3:7], (3, 0), 30))
    np.testing.assert_array_equal(bench.scan().flags.thresholds(), before)
    assert not bench.scan().flags.pixels()[4, 4]


def test_a_scan_without_its_last_rows_ends_with_a_verdict_on_what_it_has():
    counts = bright_map()
    bench = Bench().feed(*rows_of(counts)[:13], end(13, reason="aborted")).wait(0)
    scan = bench.scan()
    assert scan.view().state == "aborted"
    assert len(set(scan.flags.thresholds())) == 1
    assert scan.flags.pixels().any()
