"""A real Chromium for the page, and ways to read what it shows. Works against the fake and the real service alike."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

# The page's tests share one fake service, which lives beside the dashboard's own tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "dashboard"))

from fake_app import FakeServer
from fake_live import FakeLive, FakeScan
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SOON_S = 15


# Not for the whole session: while Playwright runs, no other test can start an event loop in this thread.
@pytest.fixture(scope="module")
def browser():
    """One Chromium for a file of tests. Fails where there is none; skips where EELSWATCH_NO_BROWSER is set."""
    if os.environ.get("EELSWATCH_NO_BROWSER"):
        pytest.skip("EELSWATCH_NO_BROWSER is set: the page is not tested in a browser")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("no chromium on the PATH: install it, or set EELSWATCH_NO_BROWSER=1 to skip the browser tests")
    with sync_playwright() as playwright:
        chosen = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        yield chosen
        chosen.close()


class Watched:
    """A page and what it did: console errors, uncaught errors, addresses asked for."""

    def __init__(self, page: Page):
        self.page = page
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.addresses.append(request.url))
        page.on("websocket", lambda socket: self.addresses.append(socket.url))

    def _heard(self, line):
        if line.type in ("error", "warning"):
            self.complaints.append(line.text)

    def open(self, url: str) -> Page:
        self.page.goto(url)
        wait_for(self.page, "window.eelswatch !== undefined && window.eelswatch.connected")
        return self.page

    def foreign_addresses(self) -> list[str]:
        own = urlsplit(self.page.url).netloc
        return [url for url in self.addresses if urlsplit(url).netloc != own and urlsplit(url).scheme != "data"]


@pytest.fixture
def open_page(browser: Browser):
    """open_page(url, width=..., height=...) -> Watched; every page is closed at the end of the test."""
    contexts = []

    def open_one(url: str, *, width: int = 1280, height: int = 800) -> Watched:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        watched = Watched(context.new_page())
        watched.open(url)
        return watched

    yield open_one
    for context in contexts:
        context.close()


def map_pixels(page: Page, source: str = "anomaly_image") -> np.ndarray:
    """What a map shows now, read from BokehJS: float32 [row, column], NaN where nothing is drawn.

    `source`: anomaly_image (-log10 p unless another layer is chosen), total_image, crop_image, child_image, map_state.
    """
    picture = page.evaluate(
        """name => {
            const document = Bokeh.documents.find(each => each.get_model_by_name(name) !== null);
            const image = document.get_model_by_name(name).data.image[0];
            return {shape: image.shape, values: Array.from(image, value => Number.isNaN(value) ? null : value)};
        }""",
        source,
    )
    values = [np.nan if value is None else value for value in picture["values"]]
    return np.array(values, dtype=np.float32).reshape(picture["shape"])


def pixel_position(page: Page, row: int, column: int, figure: str = "anomaly") -> tuple[float, float]:
    """Where the middle of a map's pixel is on the screen, (x, y) in CSS pixels."""
    spot = page.evaluate(
        """([figure, row, column]) => {
            const document = Bokeh.documents.find(each => each.get_model_by_name(figure) !== null);
            const view = Bokeh.index.get_one(document.get_model_by_name(figure));
            const box = view.el.getBoundingClientRect();
            const {x_scale, y_scale} = view.frame;
            return [box.left + x_scale.compute(column + 0.5), box.top + y_scale.compute(row + 0.5)];
        }""",
        [figure, row, column],
    )
    return spot[0], spot[1]


def wait_for(page: Page, condition: str, argument: object = None) -> None:
    """Wait until a JavaScript function (or expression) gives true; fails with the condition in words after a while.

    Playwright's own wait_for_function evaluates text inside the page, which the page's content security policy forbids.
    """
    deadline = time.monotonic() + SOON_S
    while not page.evaluate(condition, argument):
        if time.monotonic() > deadline:
            pytest.fail(f"after {SOON_S} s the page still does not fulfil: {condition}")
        page.wait_for_timeout(50)


SPOT = (10, 18, 17, 26)
"""Rows and columns of the fake scan's anomaly."""


@pytest.fixture
def live():
    live = FakeLive()
    live.start(FakeScan(scan="film/1", title="BFO film", shape=(32, 40), spot=SPOT))
    return live


@pytest.fixture
def server(live):
    running = FakeServer(live).start()
    yield running
    running.stop()


def text_of(page, selector):
    return page.locator(selector).inner_text()


def wait_for_rows(page, rows):
    """Wait until so many rows are drawn on the anomaly map."""
    wait_for(
        page,
        """rows => {
            const image = Bokeh.documents[0].get_model_by_name("anomaly_image").data.image[0];
            const [height, width] = image.shape;
            return Array.from({length: height}, (_, row) => image[row * width]).filter(Number.isFinite).length === rows;
        }""",
        rows,
    )
