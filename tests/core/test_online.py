"""Flags while rows arrive keep their promise at every moment, and end up near those of the finished map."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from monitor.core.calibration import discovery_threshold
from monitor.core.online import BatchBH

ROWS, COLUMNS = 30, 40


def flags_of(p, fdr):
    rule = BatchBH(fdr, batches=p.shape[0])
    return np.stack([row <= rule.test(row) for row in p])


def taken_by_bh(p, level):
    ordered = sorted(p)
    return max((k for k in range(1, len(p) + 1) if ordered[k - 1] <= level * k / len(p)), default=0)


def as_in_the_paper(batches, fdr):
    """Flags of each batch, every one of R, R+ and the level straight from the definitions."""
    flags, most, levels = [], [], []
    for t, p in enumerate(batches, start=1):
        spent = sum(
            level * plus / (plus + sum(flags) - own) for level, plus, own in zip(levels, most, flags, strict=True)
        )
        level = min(max(fdr * t / len(batches) - spent, 0.0) * (len(p) + sum(flags)) / len(p), fdr)
        plus = max(taken_by_bh([*p[:i], 0.0, *p[i + 1 :]], level) for i in range(len(p)))
        levels.append(level)
        most.append(plus)
        flags.append(taken_by_bh(p, level))
    estimate = sum(a * plus / (plus + sum(flags) - own) for a, plus, own in zip(levels, most, flags, strict=True))
    return flags, estimate


P_VALUES = st.one_of(st.floats(1e-9, 1e-3), st.floats(1e-3, 1.0))
BATCHES = st.lists(st.lists(P_VALUES, min_size=1, max_size=8), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(BATCHES, st.floats(0.01, 0.5))
def test_each_batch_is_tested_as_the_paper_defines_it_and_the_estimate_stays_within_the_rate(batches, fdr):
    rule = BatchBH(fdr, batches=len(batches))
    flags = [int((np.array(p) <= rule.test(np.array(p))).sum()) for p in batches]
    wanted, estimate = as_in_the_paper(batches, fdr)
    assert flags == wanted
    assert estimate <= fdr * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(BATCHES, st.floats(0.01, 0.5))
def test_no_batch_flags_more_than_benjamini_hochberg_would_in_it_alone(batches, fdr):
    rule = BatchBH(fdr, batches=len(batches))
    for p in batches:
        assert rule.test(np.array(p)) <= discovery_threshold(np.array(p), fdr)


def test_missing_pixels_do_not_count_and_an_empty_batch_costs_nothing():
    p = np.array([1e-6, 0.3, 0.8])
    bare, holed = BatchBH(0.1, batches=3), BatchBH(0.1, batches=3)
    assert holed.test(np.full(4, np.nan)) == 0.0
    for _ in range(2):
        assert holed.test(np.array([np.nan, *p, np.nan])) == bare.test(p) > 0


def share_of_false(flags, truth):
    return (flags & ~truth).sum() / max(flags.sum(), 1)


@pytest.mark.parametrize("fdr", [0.05, 0.2])
def test_without_anomalies_a_scan_is_flagged_at_all_no_more_often_than_the_rate(fdr):
    rng, scans = np.random.default_rng(1), 400
    seen = np.mean([flags_of(rng.uniform(size=(ROWS, COLUMNS)), fdr).any() for _ in range(scans)])
    assert seen <= fdr + 3 * np.sqrt(fdr * (1 - fdr) / scans)


@pytest.mark.parametrize(("share", "sigma"), [(0.02, 4.0), (0.1, 3.0), (0.005, 5.0)])
def test_the_false_share_stays_within_the_rate_after_every_row_and_power_near_that_of_the_whole_map(share, sigma):
    rng, fdr, scans = np.random.default_rng(2), 0.1, 200
    false, found, found_at_the_end = [], [], []
    for _ in range(scans):
        truth = rng.random((ROWS, COLUMNS)) < share
        p = norm.sf(rng.standard_normal(truth.shape) + sigma * truth)
        flags = flags_of(p, fdr)
        false.append([share_of_false(flags[:n], truth[:n]) for n in range(1, ROWS + 1)])
        found.append((flags & truth).sum() / truth.sum())
        found_at_the_end.append((truth & (p <= discovery_threshold(p, fdr))).sum() / truth.sum())
    error = np.std(false, axis=0) / np.sqrt(scans)
    assert (np.mean(false, axis=0) <= fdr + 3 * error).all()
    assert np.mean(found) > 0.7 * np.mean(found_at_the_end)
