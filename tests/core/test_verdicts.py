"""From scores to p-values, flags, regions and their energies."""

import msgspec
import numpy as np
import pytest
from scipy.ndimage import uniform_filter
from scipy.stats import false_discovery_control

from monitor.core.axes import ScanGrid
from monitor.core.calibration import discovery_threshold
from monitor.core.edges import ONSETS_EV, nearest_edge
from monitor.core.maps import LiveMaps
from monitor.core.regions import find_regions
from tests.doubles import a_card, some_scores


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


def raised_by(pixels, p):
    return msgspec.structs.replace(a_card().calibration, pixels=pixels).raised(p)


def test_an_uncertain_calibration_raises_p_values_and_keeps_their_order_and_their_gaps():
    p = np.append(np.geomspace(1e-30, 1.0, 200), np.nan)
    few, many = raised_by(300, p), raised_by(30_000, p)
    for raised in (few, many):
        assert (np.diff(raised[:-1]) >= 0).all()
        assert raised[-2] == 1.0
        assert np.isnan(raised[-1])
    assert (few[:-2] > many[:-2]).all()
    assert (many[:-2] > p[:-2]).all()


def test_what_lies_farther_out_is_raised_the_more():
    p = np.array([1e-2, 1e-3, 1e-6])
    assert (np.diff(raised_by(9000, p) / p) > 0).all()


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


def maps_with(flagged, energy_index=3, **outputs):
    maps = LiveMaps.empty(ScanGrid(rows=flagged.shape[0], columns=flagged.shape[1]))
    score = np.where(flagged, 9.0, 1.0).astype(np.float32)
    scores = some_scores(score, **({"energy_index": np.full(score.shape, energy_index)} | outputs))
    maps.put(slice(None), scores, a_card().calibration, a_card().energy)
    return maps


def test_flagged_pixels_near_each_other_are_one_region_and_far_ones_another():
    flagged = np.zeros((20, 20), bool)
    flagged[2, 2] = flagged[4, 4] = flagged[15, 15] = flagged[15, 16] = True
    regions = find_regions(maps_with(flagged), flagged, a_card())
    assert sorted(region.region.as_list() for region in regions) == [[2, 2, 5, 5], [15, 15, 16, 17]]
    assert sorted(region.pixels for region in regions) == [2, 2]
    assert all(region.energy_ev == 450.0 for region in regions)
    assert "Ti L" in regions[0].label


def test_a_map_without_flags_has_no_regions():
    flagged = np.zeros((5, 5), bool)
    assert find_regions(maps_with(flagged), flagged, a_card()) == []


@pytest.mark.parametrize(
    ("energy_ev", "edge"),
    [
        *((54.0, "Fe M2,3"), (55.5, "Li K"), (99.5, "Si L2,3"), (189.0, "B K"), (285.0, "C K"), (347.0, "Ca L3")),
        *((401.0, "N K"), (457.0, "Ti L3"), (514.0, "V L3"), (533.5, "O K"), (577.0, "Cr L3"), (641.0, "Mn L3")),
        *((686.0, "F K"), (710.0, "Fe L3"), (723.0, "Fe L2"), (778.0, "Co L3"), (833.0, "La M5"), (856.0, "Ni L3")),
        *((884.0, "Ce M5"), (932.0, "Cu L3"), (1021.0, "Zn L3"), (1306.0, "Mg K"), (1561.0, "Al K"), (1840.0, "Si K")),
        *((1941.0, "Sr L3"), (2122.5, "Pt M5"), (2223.0, "Zr L3")),
    ],
)
def test_energies_near_an_onset_are_named_by_it(energy_ev, edge):
    assert nearest_edge(energy_ev) == edge


def test_onsets_lie_between_50_and_3000_ev_and_silence_has_no_name():
    assert all(50 <= onset <= 3000 for onset in ONSETS_EV.values())
    assert nearest_edge(2990.0) is None


SHIFT, SHIFT_OF_NINE, SPIKE_KIND = 1, 2, 3
SPIKE = 1


def a_spot(size=3, shape=(9, 9)):
    flagged = np.zeros(shape, bool)
    flagged[3 : 3 + size, 3 : 3 + size] = True
    return flagged


def amounts(shape, value, error):
    return np.stack(np.broadcast_arrays(np.full(shape, value), error), axis=-1).astype(np.float32)


def region_of(flagged, **outputs):
    (region,) = find_regions(maps_with(flagged, **outputs), flagged, a_card())
    return region


def test_a_regions_shift_is_the_mean_of_its_pixels_weighted_by_their_precision():
    flagged = a_spot(2)
    error = np.full(flagged.shape, 0.4)
    error[3, 3] = 0.1
    value = np.where(error < 0.2, -1.2, -0.8)
    region = region_of(flagged, kind=np.full(flagged.shape, SHIFT), amount=np.stack([value, error], -1))
    weight = 1 / error[flagged] ** 2
    assert region.amount.unit == "eV"
    assert region.amount.value == pytest.approx((weight * value[flagged]).sum() / weight.sum(), rel=1e-5)
    assert region.amount.error == pytest.approx(weight.sum() ** -0.5, rel=1e-5)


def test_the_error_of_a_shift_seen_in_windows_that_overlap_is_that_of_the_pixels_they_share():
    rng, size, sigma = np.random.default_rng(4), 3, 0.9
    flagged = a_spot(size)
    noise = rng.normal(0, sigma, (4000, *flagged.shape))
    windows = uniform_filter(noise, (0, 3, 3))
    outputs = {"kind": np.full(flagged.shape, SHIFT_OF_NINE), "amount": amounts(flagged.shape, -1.2, sigma / 3)}
    region = region_of(flagged, **outputs)
    assert region.amount.value == pytest.approx(-1.2)
    assert region.amount.error == pytest.approx(windows[:, flagged].mean(1).std(), rel=0.05)


def test_other_evidence_is_given_in_counts():
    flagged = a_spot(2)
    region = region_of(flagged, amount=amounts(flagged.shape, 300.0, 40.0))
    assert (region.amount.unit, region.amount.value) == ("counts", pytest.approx(300))
    assert region.amount.error == pytest.approx(20)


def test_a_model_that_gives_no_amounts_gives_regions_none():
    assert region_of(a_spot()).amount is None


def test_a_regions_energies_are_the_span_of_its_evidence():
    flagged = a_spot()
    span = np.broadcast_to([2, 5], (*flagged.shape, 2))
    assert region_of(flagged, span=span).energy_span_ev == (440.0, 470.0)
    assert region_of(flagged).energy_span_ev == (450.0, 450.0)


def test_a_spike_inside_a_region_does_not_speak_for_it():
    flagged = a_spot()
    index, kind = np.full(flagged.shape, 3), np.full(flagged.shape, SHIFT)
    label, amount = np.zeros(flagged.shape, int), amounts(flagged.shape, -1.2, 0.3)
    index[4, 4], kind[4, 4], label[4, 4], amount[4, 4] = 30, SPIKE_KIND, SPIKE, (9000, 90)
    region = region_of(flagged, energy_index=index, kind=kind, label=label, amount=amount)
    assert region.pixels == 9
    assert region.energy_ev == 450.0
    assert region.amount.value == pytest.approx(-1.2)
    alone = np.zeros_like(flagged)
    alone[4, 4] = True
    assert region_of(alone, energy_index=index, kind=kind, label=label, amount=amount).amount is None


def test_what_an_earlier_model_does_not_say_is_filled_in():
    maps = maps_with(a_spot(), energy_index=4)
    assert (maps.label == 0).all()
    np.testing.assert_array_equal(maps.energy_lo_ev, maps.energy_ev)
    np.testing.assert_array_equal(maps.energy_hi_ev, maps.energy_ev)
    assert np.isnan(maps.amount).all()
    assert np.isnan(maps.drift_ev).all()


def test_maps_hold_what_a_model_says_of_pixels_and_rows_and_nothing_of_missing_ones():
    flagged = a_spot()
    score = np.ones(flagged.shape, np.float32)
    score[0, 0] = np.nan
    score[8] = np.nan
    label = np.full(flagged.shape, 2)
    scores = some_scores(
        score, label=label, drift=np.arange(9, dtype=np.float32), amount=amounts(score.shape, 3.0, 1.0),
        span=np.broadcast_to([5, 2], (*score.shape, 2)),
    )  # fmt: skip
    maps = LiveMaps.empty(ScanGrid(rows=9, columns=9))
    maps.put(slice(None), scores, a_card().calibration, a_card().energy)
    assert (maps.label[1, 1], maps.label[0, 0]) == (2, 0)
    assert maps.drift_ev[:8].tolist() == list(range(8))
    assert np.isnan(maps.drift_ev[8])
    assert (maps.energy_lo_ev[1, 1], maps.energy_hi_ev[1, 1]) == (440.0, 470.0)
    assert np.isnan(maps.amount[0, 0])
    assert maps.labelled(["", "spike", "vacuum"]) == {"spike": 0, "vacuum": 71}


def test_no_labelled_pixel_is_flagged_however_high_its_score():
    label = np.zeros((9, 9), np.int64)
    label[4, 4] = 1
    maps = LiveMaps.empty(ScanGrid(rows=9, columns=9))
    scores = some_scores(np.full((9, 9), 50, np.float32), label=label)
    maps.put(slice(None), scores, a_card().calibration, a_card().energy)
    flag = maps.flag(0.5)
    assert not flag[4, 4]
    assert flag.sum() == 80
