"""From scores to p-values, flags, regions and their energies."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from monitor.core.axes import EnergyAxis, ScanGrid
from monitor.core.calibration import discovery_threshold
from monitor.core.edges import ONSETS_EV, nearest_edge
from monitor.core.maps import LiveMaps, Scores
from monitor.core.regions import find_regions
from monitor.core.shifts import fit_shift
from tests.doubles import a_card


def test_p_values_fall_with_the_score_and_meet_at_the_tail():
    calibration = a_card().calibration
    score = np.linspace(0, 40, 400)
    p = calibration.p_values(score)
    assert (np.diff(p) <= 0).all()
    assert p[0] == 1.0
    assert p.min() > 0
    assert calibration.p_values(np.array([3.0]))[0] == pytest.approx(0.1)
    assert calibration.p_values(np.array([3.5]))[0] == pytest.approx(0.1 * np.exp(-1), rel=1e-5)
    assert np.isnan(calibration.p_values(np.array([np.nan]))[0])


@pytest.mark.parametrize("fdr", [0.01, 0.05, 0.3])
def test_flags_are_those_of_benjamini_and_hochberg(fdr):
    rng = np.random.default_rng(3)
    p = np.concatenate([rng.uniform(size=900), rng.uniform(size=100) ** 6])
    flagged = p <= discovery_threshold(p, fdr)
    np.testing.assert_array_equal(flagged, false_discovery_control(p) <= fdr)


def test_missing_pixels_do_not_count_and_are_never_flagged():
    p = np.full((4, 5), np.nan)
    assert discovery_threshold(p, 0.1) == 0.0
    p[0] = [1e-9, 0.5, 0.5, 0.5, 0.5]
    assert discovery_threshold(p, 0.1) == 1e-9


def maps_with(flagged, energy_index=3):
    grid = ScanGrid(rows=flagged.shape[0], columns=flagged.shape[1])
    maps = LiveMaps.empty(grid)
    score = np.where(flagged, 9.0, 1.0).astype(np.float32)
    index = np.full(grid.shape, energy_index)
    maps.put(
        0, Scores(score=score, energy_index=index, kind=np.zeros_like(index)), a_card().calibration, a_card().energy
    )
    return maps


def test_flagged_pixels_near_each_other_are_one_region_and_far_ones_another():
    flagged = np.zeros((20, 20), bool)
    flagged[2, 2] = flagged[4, 4] = flagged[15, 15] = flagged[15, 16] = True
    regions = find_regions(maps_with(flagged), flagged)
    assert sorted(region.region.as_list() for region in regions) == [[2, 2, 5, 5], [15, 15, 16, 17]]
    assert sorted(region.pixels for region in regions) == [2, 2]
    assert all(region.energy_ev == 450.0 for region in regions)
    assert "Ti L" in regions[0].label


def test_a_map_without_flags_has_no_regions():
    flagged = np.zeros((5, 5), bool)
    assert find_regions(maps_with(flagged), flagged) == []


@pytest.mark.parametrize(
    ("energy_ev", "edge"), [(457.0, "Ti L3"), (533.5, "O K"), (641.0, "Mn L3"), (710.0, "Fe L3"), (577.0, "Cr L3")]
)
def test_energies_near_an_onset_are_named_by_it(energy_ev, edge):
    assert nearest_edge(energy_ev) == edge


def test_onsets_lie_between_50_and_3000_ev_and_silence_has_no_name():
    assert all(50 <= onset <= 3000 for onset in ONSETS_EV.values())
    assert nearest_edge(2990.0) is None


AXIS = EnergyAxis(offset_ev=680.0, step_ev=0.5, size=160)


def spectrum(moved_ev=0.0, peak=800.0):
    energies = AXIS.energies_ev() - moved_ev
    return 300 + peak * np.exp(-0.5 * ((energies - 709) / 1.5) ** 2) + 200 / (1 + np.exp(-(energies - 709)))


@pytest.mark.parametrize("moved_ev", [-2.4, -0.9, 0.9, 2.4])
def test_a_moved_edge_is_measured_within_its_standard_error(moved_ev):
    rng = np.random.default_rng(7)
    pulls = []
    for _ in range(40):
        shift = fit_shift(rng.poisson(spectrum(moved_ev)), spectrum(), axis=AXIS, near_ev=709.0, noise_gain=1.0)
        assert shift is not None
        pulls.append((shift.shift_ev - moved_ev) / shift.error_ev)
    assert abs(np.mean(pulls)) < 0.7
    assert 0.6 < np.std(pulls) < 1.5


def test_counting_noise_alone_is_no_shift():
    rng = np.random.default_rng(8)
    found = [
        fit_shift(rng.poisson(spectrum()), spectrum(), axis=AXIS, near_ev=709.0, noise_gain=1.0) for _ in range(40)
    ]
    assert sum(shift is not None for shift in found) <= 1
