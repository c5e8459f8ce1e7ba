from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from small import scores_of, small_film, untrained_graph

from monitor.core.axes import EnergyAxis
from monitor.core.noise import estimate_noise
from monitor.core.spikes import find_spikes
from monitor.sim.acquisition import acquire
from monitor.sim.anomalies import Anomalies
from monitor.sim.scene import scene_named, window_of
from training.evaluation.roll import roll_peak
from training.families import EVIDENCE
from training.labels import LABELS, SATURATED, SPIKE, VACUUM, Labelled, Labels

FINE = EnergyAxis(offset_ev=420.0, step_ev=0.3, size=1340)
COARSE = window_of(500)
FILM = small_film(3).image.counts.astype(np.float32)
NOISE = estimate_noise(FILM)


def clean_map(seed, *, energy, counts_per_pixel, **scene):
    wanted = replace(scene_named("clean"), rows=24, columns=24, energy=energy, counts_per_pixel=counts_per_pixel)
    scan = acquire(replace(wanted, **scene), seed)
    return scan.image.counts.astype(np.float32), scan.truth


@cache
def labels_at(energy, counts_per_pixel):
    """Labels that have learned from a clean map."""
    return labels_of(clean_map(1, energy=energy, counts_per_pixel=counts_per_pixel)[0])


def labels_of(counts, *, bad=(), full=np.inf):
    spectra = counts.reshape(-1, counts.shape[-1])
    labels = Labels(counts.shape[-1])
    labels.learn(spectra[np.isfinite(spectra).all(-1)], estimate_noise(counts), bad=bad, full=full)
    return labels


def labelled(labels, counts):
    """What `labels` says of one map (row, column, energy), as arrays without the batch."""
    with torch.inference_mode():
        return Labelled(*(output[0].numpy() for output in labels(torch.from_numpy(counts)[None])))


@pytest.fixture(scope="module")
def labels():
    return labels_of(FILM)


def sigma(channel):
    return float(np.sqrt(NOISE.variance(FILM[..., channel].mean())))


@pytest.mark.parametrize("channel", [0, 1, 57, 118, 119])
@pytest.mark.parametrize("pixel", [(0, 0), (11, 7), (23, 27)])
def test_a_spike_is_found_wherever_it_lies_and_nothing_else_is(labels, pixel, channel):
    counts = FILM.copy()
    counts[*pixel, channel] += 40 * sigma(channel)
    said = labelled(labels, counts)
    assert [tuple(at) for at in np.argwhere(said.label)] == [pixel]
    assert said.label[pixel] == LABELS.index("spike")
    assert said.channel[pixel] == channel


def test_its_counts_come_back_with_an_error_and_the_spectrum_is_mended(labels):
    counts = FILM.copy()
    added = 60 * sigma(57)
    counts[11, 7, 57:59] += added, 0.6 * added
    counts[11, 7, 59] += 0.1 * added
    said = labelled(labels, counts)
    value, error = said.excess[11, 7]
    assert abs(value - 1.7 * added) < 4 * error
    assert 0 < error < 0.1 * value
    off = (said.counts[11, 7] - FILM[11, 7]) / np.sqrt(NOISE.variance(FILM[11, 7]))
    assert np.abs(off).max() < 5
    assert np.flatnonzero(off).tolist() == [55, 56, 57, 58, 59]


def test_three_spikes_in_one_pixel_are_all_mended(labels):
    counts = FILM.copy()
    for channel, height in ((20, 40), (57, 80), (100, 60)):
        counts[5, 5, channel] += height * sigma(channel)
    said = labelled(labels, counts)
    assert (said.label[5, 5], said.channel[5, 5]) == (SPIKE, 57)
    off = (said.counts[5, 5] - FILM[5, 5]) / np.sqrt(NOISE.variance(FILM[5, 5]))
    assert np.abs(off).max() < 5


def test_it_finds_what_the_inspection_of_the_whole_map_finds(labels):
    rng = np.random.default_rng(4)
    counts = FILM.copy()
    for row, column in np.ndindex(8, 9):
        channel = rng.integers(120)
        counts[3 * row, 3 * column, channel] += rng.uniform(5, 60) * sigma(channel)
    wanted = {(spike.row, spike.column) for spike in find_spikes(counts, NOISE)}
    found = {tuple(at) for at in np.argwhere(labelled(labels, counts).label == SPIKE)}
    assert len(wanted) > 40
    assert len(found ^ wanted) <= 3  # some stand just at the limit


def test_counts_that_the_neighbours_share_are_no_spike(labels):
    counts = FILM.copy()
    counts[8:10, 8, 57] += 60 * sigma(57)
    assert not labelled(labels, counts).label.any()


@pytest.mark.parametrize("energy", [FINE, COARSE], ids=["0.3 eV", "0.8 eV"])
@pytest.mark.parametrize("counts_per_pixel", [2e4, 1e6])
def test_a_clean_map_of_any_dose_holds_no_spike(energy, counts_per_pixel):
    labels = labels_at(energy, counts_per_pixel)
    for dose in (0.25, 1, 4):
        counts, _ = clean_map(2, energy=energy, counts_per_pixel=counts_per_pixel * dose)
        assert not labelled(labels, counts).label.any()


@pytest.mark.parametrize("energy", [FINE, COARSE], ids=["0.3 eV", "0.8 eV"])
@pytest.mark.parametrize("shift_ev", [-6.0, -2.4, 0.9, 2.4, 6.0])
def test_an_edge_that_moved_in_one_pixel_is_no_spike_however_strong_it_is(energy, shift_ev):
    labels = labels_at(energy, 1e6)
    moved = Anomalies(kind="shift", shift_ev=shift_ev, pixel_share=0.05)
    counts, truth = clean_map(3, energy=energy, counts_per_pixel=1e6, anomalies=moved)
    assert truth.sum() > 10
    assert not labelled(labels, counts).label.any()


@pytest.mark.parametrize("energy", [FINE, COARSE], ids=["0.3 eV", "0.8 eV"])
@pytest.mark.parametrize("channels", [-12, -3, 1, 3, 12])
def test_a_peak_that_was_rolled_is_no_spike(energy, channels):
    counts, _ = clean_map(2, energy=energy, counts_per_pixel=1e6)
    labels = labels_at(energy, 1e6)
    half, smooth = round(6 / energy.step_ev), 0.9 / energy.step_ev
    rolled = roll_peak(counts[::3, 5], np.full(8, channels), search=energy.window(693, 731), half=half, smooth=smooth)
    counts[::3, 5] = rolled
    assert not labelled(labels, counts).label.any()


def test_a_channel_that_is_bad_in_every_pixel_holds_no_spike():
    counts = FILM.copy()
    counts[..., 40] *= np.random.default_rng(1).choice([1.0, 9.0], counts.shape[:2], p=[0.95, 0.05])
    assert (labelled(labels_of(counts), counts).label == SPIKE).any()
    assert not labelled(labels_of(counts, bad=[40]), counts).label.any()


def test_pixels_of_hardly_any_counts_are_vacuum_even_with_noise(labels):
    counts = FILM.copy()
    counts[2:5, 2:5] *= 0.02
    counts[9, 9] = 0.0
    counts[12, 12] = -3.0
    said = labelled(labels, counts)
    wanted = np.zeros(counts.shape[:2], dtype=bool)
    wanted[2:5, 2:5] = wanted[9, 9] = wanted[12, 12] = True
    assert np.array_equal(said.label == VACUUM, wanted)


def test_a_pixel_that_fills_the_detector_is_saturated(labels):
    counts = FILM.copy()
    counts[6, 6, 10:30] = 65535
    assert labelled(labels_of(FILM, full=65535), counts).label[6, 6] == SATURATED
    assert labelled(labels, counts).label[6, 6] == 0  # who has not learned how much it takes cannot say


def test_what_fills_the_detector_is_read_from_a_map_that_was_clipped():
    limit = np.quantile(FILM, 0.999)
    assert float(labels_of(np.minimum(FILM, limit)).full) == np.float32(limit)
    assert np.isinf(float(labels_of(FILM).full))


def test_a_missing_pixel_bears_no_label_and_is_no_witness(labels):
    counts = FILM.copy()
    counts[10:13, 6:9, 57] = np.nan
    counts[11, 7] = FILM[11, 7]
    counts[11, 7, 57] += 60 * sigma(57)
    counts[0, 0] = np.inf
    assert not labelled(labels, counts).label.any()


def test_the_total_is_that_of_the_counts_mended_or_missing(labels):
    counts = FILM.copy()
    counts[3, 4, 60] += 60 * sigma(60)
    counts[5, 5] = np.nan
    said = labelled(labels, counts)
    assert said.label[3, 4] == SPIKE
    assert said.total[5, 5] == 0
    np.testing.assert_allclose(said.total[..., 0], said.counts.sum(-1), rtol=1e-5)


def test_before_it_has_learned_it_says_nothing():
    counts = FILM.copy()
    counts[3, 3, 50] = 1e6
    said = labelled(Labels(120), counts)
    assert not said.label.any()
    assert np.array_equal(said.counts, counts)


def test_the_pixel_of_a_spike_is_scored_as_if_the_spike_had_not_been():
    graph = untrained_graph(mean=FILM.mean((0, 1)))
    graph.labels.load_state_dict(labels_of(FILM, full=65535).state_dict())
    spiky = FILM.copy()
    spiky[11, 7, 57] += 60 * sigma(57)
    spiky[3, 20] *= 0.01
    spiky[18, 20, 50:60] = 65535
    before, after = scores_of(graph, FILM), scores_of(graph, spiky)
    assert after.score[11, 7] == pytest.approx(before.score[11, 7], rel=0.2)
    assert EVIDENCE[after.kind[11, 7]] == "spike"
    assert after.energy_index[11, 7] == 57
    assert after.span[11, 7].tolist() == [57, 57]
    assert after.amount[11, 7, 0] == pytest.approx(60 * sigma(57), rel=0.2)
    assert [tuple(at) for at in np.argwhere(after.kind == 0)] == [(11, 7)]
    for pixel, label in (((11, 7), SPIKE), ((3, 20), VACUUM), ((18, 20), SATURATED)):
        assert after.label[pixel] == label
    assert after.score[3, 20] == after.score[18, 20] == 0
