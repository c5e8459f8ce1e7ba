"""What the operator decides and is told, in a real Chromium, over the fake service."""

import numpy as np
import pytest
from conftest import SPOT, map_pixels, pixel_position, text_of, wait_for, wait_for_rows
from fake_app import FakeServer
from fake_live import FakeScan

from monitor.core.flagging import FlagRule
from monitor.core.views import ParentView

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script> $$\\frac{1}{2}$$ "\'&amp;'


@pytest.mark.parametrize(
    ("button", "state", "words"), [("Approve", "approved", "approved"), ("Deny", "denied", "denied")]
)
def test_approve_and_deny_act(server, live, open_page, button, state, words):
    server.do(live.propose, "q/1", "film/1", SPOT)
    page = open_page(server.url).page
    page.locator("#proposals").get_by_role("button", name=button).click()
    wait_for(page, "document.querySelector('#rescans .badge') !== null")
    assert live.rescan_of("q/1").state == state
    assert state in text_of(page, "#rescans .badge")
    assert page.locator("#decide").is_hidden()


def test_a_refusal_is_shown_in_words(server, live, open_page):
    server.do(live.propose, "q", "film/1", SPOT)
    page = open_page(server.url).page
    page.route("**/approve", lambda route: route.fulfill(status=409, json={"detail": "the dose budget is spent"}))
    page.get_by_role("button", name="Approve").click()
    wait_for(page, "!document.getElementById('notice').hidden")
    assert "the dose budget is spent" in text_of(page, "#notice")
    assert page.get_by_role("button", name="Approve").is_enabled()


def test_the_token_is_asked_for_once_and_kept_in_the_session_only(live, open_page):
    server = FakeServer(live, token="s3cret").start()
    try:
        server.do(live.propose, "q1", "film/1", SPOT)
        page = open_page(server.url).page
        page.get_by_role("button", name="Approve").click()
        for token in ("wrong", "s3cret"):
            page.locator("#token-value").fill(token)
            page.get_by_role("button", name="Go on").click()
            page.wait_for_timeout(300)
        wait_for(page, "document.querySelector('#rescans .badge') !== null")
        assert live.rescan_of("q1").state == "approved"
        server.do(live.propose, "q2", "film/1", SPOT)
        page.get_by_role("button", name="Deny").click()
        wait_for(page, "document.querySelectorAll('#rescans .badge').length === 2")
        assert live.rescan_of("q2").state == "denied"
        assert page.evaluate("Object.keys(localStorage).length") == 0
        assert "s3cret" not in page.evaluate("document.cookie")
    finally:
        server.stop()


def test_the_running_threshold_is_set_from_the_page(server, live, open_page):
    page = open_page(server.url).page
    assert "1 in every 100" in text_of(page, "#rule-words")
    page.locator("#rule-value").fill("5")
    page.locator("#rule button").click()
    wait_for(page, "document.getElementById('rule-words').textContent.includes('1 in every 20 ')")
    assert live.rule == FlagRule(fdr=0.05)
    page.locator("#rule-value").fill("80")
    page.locator("#rule button").click()
    wait_for(page, "document.getElementById('notice').textContent.includes('less than 0.5')")
    assert live.rule == FlagRule(fdr=0.05)
    wait_for(page, "document.getElementById('rule-value').value === '5'")


def test_the_threshold_may_be_set_as_false_flags_per_scan(server, live, open_page):
    page = open_page(server.url).page
    page.locator("#rule-value").fill("2")
    page.locator("#rule-kind").select_option("false_flags")
    page.locator("#rule button").click()
    wait_for(page, "document.getElementById('rule-words').textContent.includes('about 2 false flags')")
    assert live.rule == FlagRule(false_flags=2.0)
    server.do(lambda: setattr(live, "rule", FlagRule(fdr=0.02)) or live.changed())
    wait_for(page, "document.getElementById('rule-kind').value === 'fdr'")
    assert page.locator("#rule-value").input_value() == "2"


def test_a_click_on_a_region_centres_it_and_chooses_its_strongest_pixel(server, live, open_page):
    server.do(live.reveal, "film/1", range(32))
    page = open_page(server.url).page
    wait_for(page, "document.querySelector('#regions .head') !== null")
    assert "shift −1.20 ± 0.20 eV" in text_of(page, "#regions")
    page.locator("#regions .head").click()
    wait_for(page, "eelswatch.spectrum !== null")
    p = live.scan_of("film/1").shown["p_value"]
    selected = page.evaluate("eelswatch.selected")
    assert p[selected["row"], selected["column"]] == np.nanmin(p)
    middle = page.evaluate(
        "() => { const r = Bokeh.documents[0].get_model_by_name('map_x'); return (r.start + r.end) / 2; }"
    )
    assert SPOT[1] < middle < SPOT[3]


def test_a_child_scan_is_shown_beside_its_parent_with_the_verdict_in_words(server, live, open_page):
    server.do(live.reveal, "film/1", range(32))
    page = open_page(server.url).page
    assert page.locator("#compare").is_hidden()
    parent = ParentView(scan="film/1", region=SPOT, rescan="q")
    server.do(live.start, FakeScan(scan="kid", shape=(15, 15), parent=parent, spot=(3, 3, 9, 9)))
    wait_for(page, "eelswatch.child === 'kid'")
    assert page.evaluate("eelswatch.scan") == "film/1"
    server.do(live.reveal, "kid", range(15))
    server.do(live.end, "kid")
    wait_for(page, "document.getElementById('compare-words').textContent.includes('held up')")
    p = live.scan_of("kid").shown["p_value"]
    flagged = int((p <= live.p_threshold("kid")).sum())
    assert f"{flagged} of 225" in text_of(page, "#compare-words")
    np.testing.assert_allclose(map_pixels(page, "child_image"), -np.log10(p), rtol=1e-5)
    assert page.evaluate(
        """() => {
            const mapper = name => Bokeh.documents[0].get_model_by_name(name).renderers.map(r => r.glyph.color_mapper)
                .find(each => each?.name === 'anomaly_colors');
            return mapper("child") === mapper("parent_crop") && mapper("child") === mapper("anomaly");
        }"""
    ), "one colour scale"


def test_an_empty_child_is_called_nothing_flagged(server, live, open_page):
    parent = ParentView(scan="film/1", region=SPOT, rescan="q")
    server.do(live.start, FakeScan(scan="kid", shape=(9, 9), parent=parent))
    server.do(live.reveal, "kid", range(9))
    server.do(live.end, "kid")
    page = open_page(server.url).page
    wait_for(page, "document.getElementById('compare-words').textContent.includes('nothing flagged')")


@pytest.mark.parametrize("region", [(-5, -5, 3, 3), (30, 38, 60, 70), (100, 100, 110, 110)])
def test_a_child_that_claims_a_place_off_its_parent_does_no_harm(server, live, open_page, region):
    server.do(live.reveal, "film/1", range(32))
    server.do(live.start, FakeScan(scan="kid", shape=(9, 9), parent=ParentView(scan="film/1", region=region)))
    server.do(live.reveal, "kid", range(9))
    watched = open_page(server.url)
    wait_for(watched.page, "eelswatch.child === 'kid' && eelswatch.maps.beside !== null")
    wait_for_rows(watched.page, 32)
    wait_for(watched.page, "Bokeh.documents[0].get_model_by_name('child_image').data.image[0].shape[0] === 9")
    assert watched.complaints == []


def test_the_newest_scan_is_followed_until_another_is_chosen(server, live, open_page):
    page = open_page(server.url).page
    server.do(live.start, FakeScan(scan="film/2", shape=(8, 8)))
    wait_for(page, "eelswatch.scan === 'film/2' && eelswatch.maps.watched.rows === 8")
    page.locator("#scan-chooser").select_option("film/1")
    wait_for(page, "eelswatch.scan === 'film/1' && eelswatch.maps.watched.rows === 32")
    server.do(live.start, FakeScan(scan="film/3", shape=(4, 4)))
    wait_for(page, "document.querySelectorAll('#scan-chooser option').length === 4")
    assert page.evaluate("eelswatch.scan") == "film/1"


def test_a_lost_connection_looks_lost_and_comes_back_with_the_whole_map(server, live, open_page):
    server.do(live.reveal, "film/1", range(4))
    page = open_page(server.url).page
    wait_for_rows(page, 4)
    server.stop()
    wait_for(page, "!document.getElementById('lost').hidden")
    assert "Connection lost" in text_of(page, "#lost")
    assert "No connection" in text_of(page, "#status")
    assert "grayscale" in page.evaluate("getComputedStyle(document.querySelector('main')).filter")
    live.reveal("film/1", range(4, 9))
    again = server.restarted()
    try:
        wait_for(page, "eelswatch.connected")
        wait_for_rows(page, 9)
        wait_for(page, "document.getElementById('lost').hidden")
        assert "All well" in text_of(page, "#status")
    finally:
        again.stop()


def test_a_page_that_comes_back_still_shows_its_scan_and_its_pixel(server, live, open_page):
    server.do(live.reveal, "film/1", range(32))
    server.do(live.start, FakeScan(scan="film/2", shape=(8, 8)))
    page = open_page(server.url).page
    page.locator("#scan-chooser").select_option("film/1")
    wait_for_rows(page, 32)
    page.mouse.click(*pixel_position(page, 13, 21))
    wait_for(page, "eelswatch.spectrum !== null")
    server.stop()
    wait_for(page, "!eelswatch.connected")
    again = server.restarted()
    try:
        wait_for(page, "eelswatch.connected && eelswatch.scan === 'film/1'")
        assert page.evaluate("eelswatch.selected") == {"scan": "film/1", "row": 13, "column": 21}
    finally:
        again.stop()


def test_a_fault_is_told_in_words_and_with_a_sign(server, live, open_page):
    page = open_page(server.url).page
    wait_for(page, "document.querySelector('#status .words').textContent === 'All well'")
    live.status = "the disk is full: nothing is recorded"
    live.notices = ["no resend endpoint: gaps stay missing"]
    live.instrument = None
    server.do(live.changed)
    wait_for(page, "!document.getElementById('fault').hidden")
    assert "the disk is full" in text_of(page, "#fault")
    assert "⚠" in text_of(page, "#status")
    assert "gaps stay missing" in text_of(page, "#notices")
    assert "not connected" in text_of(page, "#instrument")


def test_hostile_words_are_text(server, live, open_page):
    scan = FakeScan(scan="<b>1</b>", title=HOSTILE, shape=(32, 40), spot=SPOT)
    scan.why = HOSTILE
    server.do(live.start, scan)
    server.do(live.reveal, "<b>1</b>", range(32))
    server.do(live.propose, "<i>q</i>", "<b>1</b>", SPOT, label=HOSTILE)
    server.do(live.move, "<i>q</i>", "failed", who=HOSTILE, message=HOSTILE, child_scan=HOSTILE)
    live.notices = [HOSTILE]
    watched = open_page(server.url)
    page = watched.page
    wait_for_rows(page, 32)
    page.mouse.click(*pixel_position(page, 13, 21))
    wait_for(page, "eelswatch.spectrum !== null")
    page.locator("#rescans summary").click()
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, main b, main i:not([class])").count() == 0
    assert HOSTILE in page.evaluate("document.getElementById('why').textContent")
    assert HOSTILE in page.evaluate("document.getElementById('rescans').textContent")
    assert watched.complaints == []
    assert watched.foreign_addresses() == []


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1920, 1080)])
def test_the_page_fits_the_screen_is_quiet_and_asks_no_other_host(server, live, open_page, width, height):
    server.do(live.reveal, "film/1", range(32))
    server.do(live.propose, "q", "film/1", SPOT)
    watched = open_page(server.url, width=width, height=height)
    page = watched.page
    wait_for_rows(page, 32)
    page.mouse.click(*pixel_position(page, 13, 21))
    wait_for(page, "eelswatch.spectrum !== null")
    page.wait_for_timeout(300)
    overflow = page.evaluate("[document.body.scrollWidth - innerWidth, document.body.scrollHeight - innerHeight]")
    assert overflow == [0, 0]
    assert watched.complaints == []
    assert len(watched.addresses) > 10
    assert watched.foreign_addresses() == []
