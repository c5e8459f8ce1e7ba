"""Counts moved between energy axes: conserved, and left alone where nothing has to move."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from monitor.core.axes import EnergyAxis
from monitor.core.resampling import resampler

MODEL = EnergyAxis(offset_ev=420.0, step_ev=2.0, size=50)


def counts_on(axis, seed=0):
    return np.random.default_rng(seed).poisson(100, (2, 3, axis.size)).astype("<u2")


def test_the_same_axis_changes_nothing():
    move = resampler(MODEL, MODEL)
    assert move is not None
    np.testing.assert_array_equal(move(counts_on(MODEL)), counts_on(MODEL))


def test_a_window_of_a_longer_axis_is_cut_out():
    source = EnergyAxis(offset_ev=400.0, step_ev=2.0, size=80)
    move = resampler(source, MODEL)
    assert move is not None
    np.testing.assert_array_equal(move(counts_on(source)), counts_on(source)[..., 10:60])


def test_an_axis_that_runs_backwards_is_turned_round():
    source = EnergyAxis(offset_ev=420.0 + 2.0 * 49, step_ev=-2.0, size=50)
    move = resampler(source, MODEL)
    assert move is not None
    np.testing.assert_allclose(move(counts_on(source)), counts_on(source)[..., ::-1], rtol=1e-6)


@given(st.floats(0.2, 5.0), st.floats(0.0, 30.0), st.floats(0.0, 30.0))
def test_counts_are_conserved_whatever_the_channels(step_ev, before_ev, after_ev):
    lo, hi = MODEL.lo_ev - before_ev, MODEL.hi_ev + after_ev
    size = int(np.ceil((hi - lo) / step_ev)) + 1
    source = EnergyAxis(offset_ev=lo + step_ev / 2, step_ev=step_ev, size=size)
    assume(source.hi_ev >= MODEL.hi_ev)
    move = resampler(source, MODEL)
    assert move is not None
    flat = np.full((1, source.size), step_ev * 10)  # 10 counts per eV everywhere
    np.testing.assert_allclose(move(flat), 20.0, rtol=1e-4)


@pytest.mark.parametrize(
    "source",
    [
        EnergyAxis(offset_ev=425.0, step_ev=2.0, size=60),
        EnergyAxis(offset_ev=400.0, step_ev=2.0, size=50),
        EnergyAxis(offset_ev=0.0, step_ev=0.5, size=100),
    ],
)
def test_an_axis_that_does_not_cover_the_model_has_no_way(source):
    assert resampler(source, MODEL) is None


def test_a_missing_pixel_stays_missing():
    source = EnergyAxis(offset_ev=419.0, step_ev=1.0, size=110)
    move = resampler(source, MODEL)
    assert move is not None
    counts = np.ones((2, source.size), np.float32)
    counts[1] = np.nan
    moved = move(counts)
    assert np.isfinite(moved[0]).all()
    assert np.isnan(moved[1]).all()
