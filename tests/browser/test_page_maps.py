"""The operator's maps and spectra in a real Chromium, over the fake service."""

import numpy as np
import pytest
from conftest import map_pixels, pixel_position, text_of, wait_for, wait_for_rows
from fake_live import FakeScan

pytestmark = pytest.mark.browser


def test_maps_fill_while_the_scan_streams_and_draw_what_was_scored(server, live, open_page):
    page = open_page(server.url).page
    wait_for_rows(page, 0)
    server.do(live.reveal, "film/1", range(5))
    wait_for_rows(page, 5)
    server.do(live.reveal, "film/1", [20], missing=[3, 4])
    wait_for_rows(page, 6)
    shown = live.scan_of("film/1").shown
    np.testing.assert_allclose(map_pixels(page, "anomaly_image"), -np.log10(shown["p_value"]), rtol=1e-5)
    np.testing.assert_array_equal(map_pixels(page, "total_image"), shown["total"])


def test_a_page_opened_mid_scan_shows_all_so_far(server, live, open_page):
    server.do(live.reveal, "film/1", range(19))
    page = open_page(server.url).page
    wait_for_rows(page, 19)
    np.testing.assert_array_equal(map_pixels(page, "total_image"), live.scan_of("film/1").shown["total"])
    assert "760 of 1,280" in text_of(page, "#counters")
    assert "scanning" in text_of(page, "#scan-state")


def test_missing_unscored_and_unscanned_pixels_are_told_apart(server, live, open_page):
    server.do(live.reveal, "film/1", range(6), missing=[7])
    server.do(live.reveal, "film/1", [6, 7], scored=False)
    page = open_page(server.url).page
    wait_for_rows(page, 6)
    states = map_pixels(page, "map_state")
    assert np.isnan(states[0, 7]), "a gap: the hatching shows through"
    assert np.isnan(map_pixels(page)[0, 7])
    waiting, not_yet = states[6, 0], states[10, 0]
    assert np.isfinite([waiting, not_yet]).all()
    assert waiting != not_yet
    assert "missing so far" in text_of(page, "#legend")
    server.do(live.end, "film/1", "aborted")
    wait_for(page, "document.getElementById('scan-state').textContent.includes('aborted')")
    wait_for(page, "Number.isNaN(Bokeh.documents[0].get_model_by_name('map_state').data.image[0][10 * 40])")


def test_flagged_pixels_are_outlined(server, live, open_page):
    server.do(live.reveal, "film/1", range(32))
    page = open_page(server.url).page
    wait_for_rows(page, 32)
    flagged = np.zeros((34, 42), dtype=int)
    flagged[1:-1, 1:-1] = live.scan_of("film/1").shown["p_value"] <= live.p_threshold("film/1")
    border = int(np.abs(np.diff(flagged, axis=0)).sum() + np.abs(np.diff(flagged, axis=1)).sum())
    assert border > 0
    length = page.evaluate(
        """() => {
            const {x0, y0, x1, y1} = Bokeh.documents[0].get_model_by_name("flag_outline").data;
            return Array.from(x0).reduce((sum, x, i) => sum + Math.abs(x1[i] - x) + Math.abs(y1[i] - y0[i]), 0);
        }"""
    )
    assert length == border


@pytest.mark.parametrize("figure", ["anomaly", "total"])
def test_a_click_on_a_pixel_of_either_map_draws_its_spectrum(server, live, open_page, figure):
    server.do(live.reveal, "film/1", range(32))
    page = open_page(server.url).page
    wait_for_rows(page, 32)
    page.mouse.click(*pixel_position(page, 13, 21, figure))
    wait_for(page, "eelswatch.spectrum !== null")
    assert page.evaluate("eelswatch.selected") == {"scan": "film/1", "row": 13, "column": 21}
    drawn = page.evaluate(
        """() => {
            const {counts, expected, energy_ev} = Bokeh.documents[0].get_model_by_name("pixel_spectrum").data;
            return [Array.from(counts), Array.from(expected), Array.from(energy_ev)];
        }"""
    )
    counts, expected = live.scan_of("film/1").spectrum(13, 21)
    np.testing.assert_allclose(drawn[0], counts)
    np.testing.assert_allclose(drawn[1], expected)
    assert drawn[2][0] == 650
    title = text_of(page, "#pixel-title")
    assert title.startswith("Pixel row 13, column 21: score ")
    assert title.endswith("– FLAGGED")
    assert text_of(page, "#pixel-words") == "shift −1.20 ± 0.20 eV between 701 and 715 eV, Fe L3"


def test_a_spike_is_named_drawn_apart_and_no_anomaly(server, live, open_page):
    spiked = FakeScan(scan="spiked", shape=(16, 20), labels={(5, 7): 1, (6, 7): 2}, drift_ev=0.3)
    server.do(live.start, spiked)
    server.do(live.reveal, "spiked", range(16))
    page = open_page(server.url).page
    wait_for_rows(page, 16)
    labels = map_pixels(page, "label_image")
    assert (labels[5, 7], labels[6, 7]) == (1, 2)
    assert np.isfinite(labels).sum() == 2
    assert "X-ray spike" in text_of(page, "#legend")
    assert "X-ray spike, no anomaly" in text_of(page, "#counters")
    page.mouse.click(*pixel_position(page, 5, 7))
    wait_for(page, "eelswatch.spectrum !== null")
    peak_ev = spiked.shown["energy_ev"][5, 7]
    assert text_of(page, "#pixel-words") == f"X-ray spike at {peak_ev:.0f} eV: no anomaly"
    assert "FLAGGED" not in text_of(page, "#pixel-title")
    assert "X-ray spike: no anomaly" in text_of(page, "#tip")


def test_the_drift_of_the_rows_is_drawn_once_there_is_any(server, live, open_page):
    server.do(live.start, FakeScan(scan="drifting", shape=(16, 20), drift_ev=0.3))
    page = open_page(server.url).page
    wait_for_rows(page, 0)
    assert page.locator("#drift").is_hidden()
    server.do(live.reveal, "drifting", range(3, 12))
    wait_for_rows(page, 9)
    assert page.locator("#drift").is_visible()
    assert text_of(page, "#drift-words").startswith("−0.30 to 0.30 eV over 9 rows")
    assert page.locator("#drift-line").get_attribute("d").count("L") == 8


def test_row_0_is_on_top_and_pixels_are_square(server, live, open_page):
    page = open_page(server.url).page
    wait_for_rows(page, 0)
    for figure in ("anomaly", "total"):
        x, y = pixel_position(page, 0, 0, figure)
        right, below = pixel_position(page, 0, 10, figure), pixel_position(page, 10, 0, figure)
        assert below[1] > y
        assert right[0] - x == pytest.approx(below[1] - y, rel=0.02)


def test_pointing_at_a_pixel_names_it_and_its_values(server, live, open_page):
    server.do(live.reveal, "film/1", range(32))
    page = open_page(server.url).page
    wait_for_rows(page, 32)
    page.mouse.move(*pixel_position(page, 13, 21))
    wait_for(page, "!document.getElementById('tip').hidden")
    tip = text_of(page, "#tip")
    assert "row 13, column 21" in tip
    assert "FLAGGED" in tip
    assert f"{live.scan_of('film/1').shown['total'][13, 21]:,.0f} counts" in tip


def test_the_chosen_spectrum_is_fetched_again_when_its_row_is_rescored(server, live, open_page):
    server.do(live.reveal, "film/1", range(20), scored=False)
    watched = open_page(server.url)
    page = watched.page
    wait_for(page, "eelswatch.maps.watched.layers.total[0] > 0")
    page.mouse.click(*pixel_position(page, 13, 21))
    wait_for(page, "document.getElementById('pixel-title').textContent.includes('not scored')")
    server.do(live.reveal, "film/1", [13])
    wait_for(page, "document.getElementById('pixel-title').textContent.includes('FLAGGED')")
    asked = sum("/pixels/" in url for url in watched.addresses)
    server.do(live.reveal, "film/1", [2])
    wait_for(page, "!Number.isNaN(eelswatch.maps.watched.layers.score[2 * 40])")
    page.wait_for_timeout(700)
    assert sum("/pixels/" in url for url in watched.addresses) == asked, "another row is none of its business"
