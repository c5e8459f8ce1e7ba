"""The HTTP interface: shapes, refusals, and who may change what."""

import socket

import numpy as np
import pytest

from tests.live import command, messages_of


def test_one_pixel_shows_its_spectrum_against_expectation(watched, material, tmp_path):
    status, pixel = watched.ask("api/scans/film/pixels/4/5")
    assert status == 200
    np.testing.assert_allclose(pixel["counts"], material.image.counts[4, 5])
    np.testing.assert_allclose(pixel["energy_ev"], material.image.energy.energies_ev())
    z = np.array(pixel["residual_z"])
    assert len(z) == len(pixel["expected"]) == 120
    assert 0.5 < z.std() < 1.5
    assert pixel["score"] > 0
    lo, hi = pixel["energy_span_ev"]
    assert lo <= pixel["energy_peak_ev"] <= hi
    assert pixel["kind"] in watched.maps("film", tmp_path)["card"].item()
    assert 0 < pixel["p_value"] <= 1


def test_maps_of_a_scan_under_way_are_those_so_far(serve, material, tmp_path):
    service, sender = serve()
    sender.send(*messages_of(material.image, "film")[:17])
    service.until(lambda: service.scan("film").get("pixels", {}).get("scored", 0) >= 12 * 32, "the first scores")
    maps = service.maps("film", tmp_path)
    assert np.isfinite(maps["total"][:16]).all()
    assert np.isnan(maps["total"][16:]).all()
    assert np.isnan(maps["score"][16:]).all()
    assert service.scan("film")["state"] == "open"


@pytest.mark.parametrize(
    ("path", "body", "method", "status"),
    [
        ("api/scans/none", None, "GET", 404),
        ("api/scans/none/maps.npz", None, "GET", 404),
        ("api/scans/film/pixels/40/0", None, "GET", 404),
        ("api/scans/film/nothing", None, "GET", 404),
        ("api/nothing", None, "GET", 404),
        ("api/rescans/none/approve", {}, "POST", 404),
        ("api/rescans", {"scan": "none", "region": [0, 0, 1, 1], "dwell_factor": 1}, "POST", 404),
        ("api/rescans", {"scan": "film", "region": [0, 0, 99, 1], "dwell_factor": 1}, "POST", 422),
        ("api/rescans", {"scan": "film", "region": [0, 0], "dwell_factor": 1}, "POST", 422),
        ("api/scans/film/pixels/" + "9" * 5000 + "/0", None, "GET", 404),
        ("api/rescans", {"scan": "\ud800", "region": [0, 0, 1, 1], "dwell_factor": 1}, "POST", 404),
        ("api/settings/fdr", {"fdr": 1.5}, "PUT", 422),
        ("api/settings/fdr", {"fdr": "0.05"}, "PUT", 422),
        ("api/settings/fdr", {"fdr": "x"}, "PUT", 422),
        ("api/settings/fdr", {}, "PUT", 422),
        ("api/settings/fdr", {"false_flags": 0}, "PUT", 422),
        ("api/settings/fdr", {"fdr": 0.1, "false_flags": 1}, "PUT", 422),
    ],
)
def test_a_refusal_is_one_sentence(watched, path, body, method, status):
    got, answer = watched.ask(path, body, method)
    assert got == status
    assert list(answer) == ["detail"]
    assert isinstance(answer["detail"], str)


def test_a_decision_may_be_made_once(watched):
    request = watched.ask("api/rescans", {"scan": "film", "region": [0, 0, 4, 4], "dwell_factor": 1})[1]
    assert watched.ask(f"api/rescans/{request['id']}/deny", {})[0] == 200
    assert watched.ask(f"api/rescans/{request['id']}/approve", {})[0] == 409


def test_foreign_origins_and_foreign_hosts_are_refused(watched):
    assert watched.ask("api/scans", Origin="http://elsewhere.example")[0] == 403
    assert watched.ask("api/scans", Host="elsewhere.example")[0] == 403
    assert watched.ask("api/settings/fdr", {"fdr": 0.1}, "PUT", Origin="http://elsewhere.example")[0] == 403
    assert watched.ask("api/scans", Origin="http://[")[0] == 403
    assert watched.ask("api/scans", Origin=watched.url.rstrip("/"))[0] == 200


@pytest.mark.parametrize("page", ["http://elsewhere.example", "null"])
@pytest.mark.parametrize("host", ["own", "elsewhere.example"])
def test_a_websocket_of_a_foreign_page_is_refused(watched, page, host):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    own = watched.url.removeprefix("http://").rstrip("/")
    there = socket.create_connection(own.split(":"))
    name = own if host == "own" else host
    with pytest.raises(InvalidStatus, match="403"), connect(f"ws://{name}/ws", sock=there, origin=page):
        pass


def test_changes_need_the_token_where_one_is_set_and_reading_does_not(serve, tmp_path):
    token = tmp_path / "token"
    token.write_text("a secret\n")
    service, _ = serve("--token-file", str(token))
    assert service.ask("api/settings/fdr", {"fdr": 0.1}, "PUT")[0] == 401
    assert service.ask("api/settings/fdr", {"fdr": 0.1}, "PUT", Authorization="Bearer wrong")[0] == 401
    assert service.ask("api/settings/fdr", {"fdr": 0.1}, "PUT", Authorization="Bearer a secret")[0] == 200
    assert service.ask("api/health")[1]["fdr"] == 0.1


def test_the_running_threshold_moves_the_flags(serve, material, tmp_path):
    service, sender = serve()
    sender.send(*messages_of(material.image, "film"))
    before = service.closed("film")["pixels"]["flagged"]
    assert service.ask("api/settings/fdr", {"fdr": 0.5}, "PUT") == (200, {"fdr": 0.5})
    after = service.scan("film")["pixels"]["flagged"]
    assert after > before
    assert service.maps("film", tmp_path)["flag"].sum() == after


def test_the_threshold_may_be_stated_as_false_flags_per_scan(serve, material, tmp_path):
    service, sender = serve("--false-flags", "2")
    assert service.ask("api/health")[1]["false_flags"] == 2.0
    sender.send(*messages_of(material.image, "film"))
    view = service.closed("film")
    assert (view["fdr"], view["false_flags"]) == (None, 2.0)
    maps = service.maps("film", tmp_path)
    np.testing.assert_array_equal(maps["flag"], maps["p_value"].astype(float) <= 2 / 1024)
    assert service.ask("api/settings/fdr", {"false_flags": 50}, "PUT") == (200, {"false_flags": 50.0})
    np.testing.assert_array_equal(service.maps("film", tmp_path)["flag"], maps["p_value"].astype(float) <= 50 / 1024)
    assert service.ask("api/settings/fdr", {"fdr": 0.2}, "PUT") == (200, {"fdr": 0.2})
    health = service.ask("api/health")[1]
    assert (health["fdr"], health["false_flags"]) == (0.2, None)


def test_an_option_comes_before_the_other_way_to_say_it_in_the_file(serve, tmp_path):
    config = tmp_path / "eelswatch.toml"
    config.write_text("fdr = 0.05\n")
    service, _ = serve("--config", str(config), "--false-flags", "3")
    assert service.ask("api/health")[1]["false_flags"] == 3.0


def test_metrics_are_prometheus_text(watched):
    from prometheus_client.parser import text_string_to_metric_families

    names = {family.name for family in text_string_to_metric_families(watched.fetch("metrics")[1].decode())}
    assert {"eelswatch_healthy", "eelswatch_rate_spectra_per_second", "eelswatch_stray_messages"} <= names


def test_a_service_open_to_others_refuses_to_start_without_a_token(material, tmp_path):
    done = command(
        "serve", "--model", material.model, "--source", "tcp://127.0.0.1:1", "--http", "0.0.0.0:0", "--data", tmp_path
    )
    assert done.returncode == 1
    assert "EELSWATCH_TOKEN" in done.stderr
