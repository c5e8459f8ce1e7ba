"""The page against the real service, real sockets and a real model: what the operator sees and does."""

import numpy as np
import pytest
from conftest import map_pixels, pixel_position, wait_for

from tests.live import hear, instrument, messages_of

pytestmark = pytest.mark.browser
SHOWS_ROW = "row => Number.isFinite(Bokeh.documents[0].get_model_by_name('total_image').data.image[0][row * 32])"


def test_the_maps_change_while_a_scan_streams_and_a_click_reads_a_spectrum(serve, material, open_page):
    service, sender = serve()
    watched = open_page(service.url)
    page = watched.page
    messages = messages_of(material.image, "film")
    sender.send(*messages[:13])
    service.until(lambda: service.scan("film").get("pixels", {}).get("received") == 12 * 32, "the first rows")
    wait_for(page, SHOWS_ROW, 11)
    early = map_pixels(page, "total_image")
    assert np.isfinite(early[:12]).all()
    sender.send(*messages[13:])
    service.closed("film")
    wait_for(page, SHOWS_ROW, 31)
    late = map_pixels(page, "total_image")
    np.testing.assert_allclose(late, material.image.counts.sum(-1), rtol=1e-6)

    page.mouse.click(*pixel_position(page, 4, 5, "anomaly"))
    wait_for(page, "window.eelswatch.spectrum !== null && window.eelswatch.spectrum.row === 4")
    assert watched.foreign_addresses() == []
    assert watched.complaints == []


def test_a_request_approved_on_the_page_reaches_the_instrument(serve, material, open_page):
    service, sender = serve()
    with instrument(service) as socket:
        sender.send(*messages_of(material.image, "film"))
        service.closed("film")
        watched = open_page(service.url)
        approve = watched.page.get_by_role("button", name="Approve").first
        approve.click()
        request = hear(socket)
        assert request is not None
        assert request["scan"] == "film"
    states = {r["id"]: r["state"] for r in service.ask("api/rescans")[1]["rescans"]}
    assert states[request["id"]] == "sent"
