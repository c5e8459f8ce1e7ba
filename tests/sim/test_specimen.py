from dataclasses import replace

import numpy as np
import pytest

from monitor.core.axes import EnergyAxis, Region
from monitor.core.errors import ConfigError
from monitor.sim.acquisition import acquire
from monitor.sim.anomalies import Anomalies
from monitor.sim.camera import CAMERAS
from monitor.sim.scene import SCENES, scene_named, window_of
from monitor.sim.specimen import SimulatedSpecimen, row_drift

FILM, SUBSTRATE = slice(5, 20), slice(-8, None)
DEFECTIVE = ["film", "pixels", "intruder", "oxygen", "drift", "vacuum", "demo"]


def small(name="film", **changes):
    return replace(SCENES[name], **({"rows": 40, "columns": 40} | changes))


def peak_ev(scene, columns, lo_ev, hi_ev):
    """Where the mean spectrum of some columns stands highest above the line between lo and hi."""
    specimen = SimulatedSpecimen.build(scene.without_anomalies(), 0)
    channels = scene.energy.window(lo_ev, hi_ev)
    spectrum = specimen.expected_row(3, columns).mean(axis=0)[channels]
    above = spectrum - np.linspace(spectrum[0], spectrum[-1], spectrum.size)
    return scene.energy.energies_ev()[channels][np.argmax(above)]


@pytest.mark.parametrize(
    ("columns", "lo_ev", "hi_ev", "there_ev"),
    [
        (SUBSTRATE, 452, 457.2, 456.0),
        (SUBSTRATE, 459.8, 462.6, 461.6),
        (SUBSTRATE, 528, 533.3, 532.0),
        (FILM, 700, 714, 708.0),
        (FILM, 716, 726, 721.0),
    ],
)
def test_white_lines_are_where_they_should_be(columns, lo_ev, hi_ev, there_ev):
    fine = EnergyAxis(offset_ev=440.0, step_ev=0.1, size=3000)
    assert peak_ev(small(energy=fine), columns, lo_ev, hi_ev) == pytest.approx(there_ev, abs=0.35)


def test_iron_is_in_the_film_and_titanium_in_the_substrate():
    scene = small()
    spectra = SimulatedSpecimen.build(scene.without_anomalies(), 0).expected_row(0)

    def jump(columns, before, after):
        window = scene.energy.window
        return spectra[columns][:, window(*after)].mean() / spectra[columns][:, window(*before)].mean()

    iron, titanium = ((701, 704), (706, 710)), ((448, 452), (456, 466))
    assert jump(FILM, *iron) > 1.1 > 1.0 > jump(SUBSTRATE, *iron)
    assert jump(SUBSTRATE, *titanium) > 1.02 > 1.0 > jump(FILM, *titanium)


@pytest.mark.parametrize("name", DEFECTIVE)
def test_the_truth_marks_exactly_where_the_spectra_differ(name):
    scene = small(name)
    defective, clean = (SimulatedSpecimen.build(s, 4) for s in (scene, scene.without_anomalies()))
    there = np.stack([defective.expected_row(row) for row in range(scene.rows)])
    normal = np.stack([clean.expected_row(row) for row in range(scene.rows)])
    differ = (np.abs(there - normal) > 1e-6 * normal).any(axis=-1)
    assert defective.truth.any()
    assert not clean.truth.any()
    np.testing.assert_array_equal(differ, defective.truth)


def test_a_shifted_iron_edge_has_moved_by_as_many_ev_as_asked():
    every_pixel = Anomalies(kind="shift", shift_ev=2.4, pixel_share=1.0)
    scene = small(energy=EnergyAxis(offset_ev=690.05, step_ev=0.1, size=500), anomalies=every_pixel)
    specimen = SimulatedSpecimen.build(scene, 0)
    energies = scene.energy.energies_ev()
    peaks = energies[np.argmax(specimen.expected_row(7)[5:20, :250], axis=1)]
    assert sorted({round(float(peak), 1) for peak in peaks}) == pytest.approx([708.0 - 2.4, 708.0 + 2.4], abs=0.15)


@pytest.mark.parametrize(
    ("edge", "material", "there_ev", "window_ev"),
    [("Mn L", "manganite", 651.2, (645, 657)), ("Ti L", "ferrite", 456.0, (452, 457.2))],
)
def test_the_edge_of_another_element_can_move(edge, material, there_ev, window_ev):
    every_pixel = Anomalies(kind="shift", edge=edge, shift_ev=1.2, pixel_share=1.0)
    fine = EnergyAxis(offset_ev=440.0, step_ev=0.1, size=3000)
    scene = small(energy=fine, material=material, anomalies=every_pixel, drift_ev=0.0)
    columns = SUBSTRATE if edge == "Ti L" else FILM
    assert peak_ev(scene, columns, *window_ev) == pytest.approx(there_ev, abs=0.35)
    up, clean = (
        SimulatedSpecimen.build(s, 0, sign=np.ones((40, 40), np.int8)).expected_row(3, columns).mean(0)
        for s in (scene, scene.without_anomalies())
    )
    around = fine.window(window_ev[0] - 3, window_ev[1] + 8)
    # the whole edge stands 1.2 eV, twelve channels, higher on the same background
    lag = int(
        np.argmax([np.corrcoef(np.diff(clean[around])[:-k], np.diff(up[around])[k:])[0, 1] for k in range(1, 25)])
    )
    assert lag + 1 == pytest.approx(12, abs=1)


def test_defects_of_titanium_lie_in_the_substrate_and_others_in_the_film():
    titanium = replace(SCENES["pixels"].anomalies, edge="Ti L")
    assert SimulatedSpecimen.build(small(anomalies=titanium), 0).truth[:, :26].sum() == 0
    assert SimulatedSpecimen.build(small(anomalies=SCENES["pixels"].anomalies), 0).truth[:, 29:].sum() == 0


def test_an_edge_that_the_material_lacks_cannot_move():
    with pytest.raises(ConfigError, match=r"no Fe L edge in a manganite .* wanted Mn L or Ti L"):
        small(material="manganite")


def test_drift_can_jump_and_a_scene_without_jumps_drifts_as_before():
    smooth, jumpy = small("clean", rows=400), small("clean", rows=400, drift_jump_ev=1.0)
    still = replace(jumpy, drift_ev=0.0)
    steps = np.abs(np.diff(row_drift(still, np.random.default_rng(3))))
    assert sorted({round(float(step), 6) for step in steps}) == [0.0, 1.0]
    assert (steps > 0).mean() == pytest.approx(1 / 24, abs=0.03)
    walk, same_walk = (row_drift(s, np.random.default_rng(3)) for s in (smooth, jumpy))
    assert np.abs(np.diff(walk)).max() < 0.1
    jumps = same_walk - walk
    np.testing.assert_allclose(np.abs(np.diff(jumps))[steps > 0], 1.0)


def test_an_intruder_brings_chromium_and_missing_oxygen_lowers_its_edge():
    for name, window_ev, way in (("intruder", (572, 578), 1), ("oxygen", (535, 550), -1)):
        scene = small(name)
        defective, clean = (SimulatedSpecimen.build(s, 0) for s in (scene, scene.without_anomalies()))
        row, column = np.argwhere(defective.truth)[0]
        channels = scene.energy.window(*window_ev)
        change = (defective.expected_row(row) - clean.expected_row(row))[column, channels]
        assert (way * change > 0).all()


def test_single_pixels_are_the_share_that_was_asked_for():
    truth = SimulatedSpecimen.build(SCENES["pixels"], 0).truth
    film_pixels = 96 * 96 * SCENES["pixels"].film_share
    assert truth.sum() == pytest.approx(0.016 * film_pixels, rel=0.1)


def test_the_mean_counts_are_as_asked_and_neighbours_differ():
    specimen = SimulatedSpecimen.build(small("clean", counts_per_pixel=3e4), 0)
    totals = np.stack([specimen.expected_row(row).sum(axis=1) for row in range(40)])
    assert totals.mean() == pytest.approx(3e4, rel=1e-3)
    iron = specimen.expected_row(10)[5:25, specimen.scene.energy.window(706, 710)].sum(axis=1)
    assert np.abs(np.diff(iron)).max() > 0.02 * iron.mean()


def test_drift_moves_whole_rows_by_its_rms_and_can_be_none():
    scene = small("clean", energy=EnergyAxis(offset_ev=690.0, step_ev=0.1, size=400), counts_per_pixel=1e9)
    for drift_ev in (0.0, 0.5):
        specimen = SimulatedSpecimen.build(replace(scene, drift_ev=drift_ev), 0)
        counts = specimen.acquire(specimen.whole, 1.0, np.random.default_rng(0))
        peaks = scene.energy.at(np.argmax(counts[:, FILM, :300], axis=-1))
        assert np.ptp(peaks, axis=1).max() < 0.35
        assert np.sqrt(np.mean((peaks.mean(axis=1) - 708.0) ** 2)) == pytest.approx(drift_ev, abs=0.12)


def test_a_rescan_sees_the_same_specimen_with_new_noise_and_more_counts():
    scene = small(drift_ev=0.0)
    specimen = SimulatedSpecimen.build(scene, 2)
    region = Region(row0=3, col0=10, row1=9, col1=22)
    rng = np.random.default_rng(5)
    once, again = (specimen.acquire(region, 1.0, rng) for _ in range(2))
    longer = specimen.acquire(region, 8.0, rng)
    assert once.shape == (6, 12, scene.energy.size)
    assert (once != again).mean() > 0.5
    expected = np.stack([specimen.expected_row(row, slice(10, 22)) for row in range(3, 9)])
    assert longer.sum() / expected.sum() == pytest.approx(8.0, rel=0.005)
    chi2 = ((longer - 8 * expected) ** 2 / (8 * expected)).mean()
    assert chi2 == pytest.approx(1.0, abs=0.05)


def test_a_region_outside_the_specimen_is_refused():
    specimen = SimulatedSpecimen.build(small(), 0)
    for region, factor in (((0, 0, 41, 4), 1.0), ((5, 5, 5, 9), 1.0), ((0, 0, 4, 4), 0.0), ((-1, 0, 4, 4), 1.0)):
        row0, col0, row1, col1 = region
        with pytest.raises(ConfigError, match="cannot scan"):
            specimen.rows(Region(row0=row0, col0=col0, row1=row1, col1=col1), factor, np.random.default_rng(0))


def test_a_seed_gives_the_same_counts_again_and_another_seed_others():
    scene = small(energy=window_of(50))
    first, same, other = (acquire(scene, seed).image.counts for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_vacuum_is_dark_and_holds_no_defect():
    acquisition = acquire(SCENES["vacuum"], 0)
    totals = acquisition.image.counts.sum(axis=-1)
    assert totals[:, :10].mean() < 0.02 * totals[:, 10:].mean()
    assert not acquisition.truth[:, :10].any()


def test_the_interface_can_cross_the_rows():
    specimen = SimulatedSpecimen.build(small("clean", crosses="rows"), 0)
    iron = specimen.scene.energy.window(706, 710)
    film, substrate = (specimen.expected_row(row) for row in (2, 38))
    ratio = [row[:, iron].sum() / row[:, specimen.scene.energy.window(700, 704)].sum() for row in (film, substrate)]
    assert ratio[0] > 1.1 * ratio[1]


@pytest.mark.parametrize(
    "change",
    [{"rows": 0}, {"counts_per_pixel": 0.0}, {"counts_per_pixel": float("nan")}, {"drift_ev": -1.0}],
)
def test_a_scene_that_cannot_be_is_refused(change):
    with pytest.raises(ConfigError):
        replace(SCENES["film"], **change)


def test_every_scene_has_a_clean_counterpart_by_name():
    for name in DEFECTIVE:
        assert scene_named(f"{name}_clean") == SCENES[name].without_anomalies()
    with pytest.raises(ConfigError, match="choose one of film"):
        scene_named("moon")


@pytest.mark.parametrize("camera", list(CAMERAS))
def test_a_tiny_scene_still_builds(camera):
    scene = small(rows=1, columns=1, energy=window_of(2), camera=CAMERAS[camera])
    assert acquire(scene, 0).image.counts.shape == (1, 1, 2)
