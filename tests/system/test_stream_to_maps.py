"""From a sender's bytes to maps, through real sockets and the real service."""

import signal

import numpy as np
import pytest
import zmq

from tests import streams
from tests.live import Sender, assert_same_maps, command, messages_of


def test_shuffled_split_and_duplicated_blocks_give_the_maps_of_score(serve, material, offline, tmp_path):
    service, sender = serve()
    counts, rng = material.image.counts, np.random.default_rng(5)
    parts = [(row, lo, lo + 8) for row in range(32) for lo in range(0, 32, 8)]
    rng.shuffle(parts)
    blocks = [streams.block(counts[r : r + 1, a:b], (r, a), seq, "mixed") for seq, (r, a, b) in enumerate(parts, 1)]
    twice = [blocks[i] for i in rng.integers(0, len(blocks), 10)]
    first = messages_of(material.image, "mixed")[0]
    sender.send(first, *blocks[:60], *twice, *blocks[60:], streams.end(len(blocks) + 1, "mixed"))
    view = service.closed("mixed")
    assert view["state"] == "complete"
    pixels = {"received": 1024, "scored": 1024, "provisional": 0, "missing": 0}
    assert view["pixels"].items() >= pixels.items()
    assert view["blocks"]["duplicate"] == 10
    assert_same_maps(service.maps("mixed", tmp_path), offline)


def test_a_pushed_stream_is_pulled(serve, material, offline, tmp_path):
    service, sender = serve("--mode", "pull", kind=zmq.PUSH)
    sender.send(*messages_of(material.image, "pushed"))
    assert service.closed("pushed")["state"] == "complete"
    assert_same_maps(service.maps("pushed", tmp_path), offline)


def test_lost_messages_are_fetched_where_the_source_resends(material, offline, tmp_path, serve):
    sender = Sender()
    service, _ = serve(sender=sender)
    router = sender.context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    messages = messages_of(material.image, "lossy", resend=f"tcp://127.0.0.1:{port}")
    sender.send(*(m for i, m in enumerate(messages) if i not in (1, 9, 10, 33)))

    import json

    assert router.poll(20_000)
    client, request = router.recv_multipart()
    asked = json.loads(request)
    assert (asked["type"], asked["scan"]) == ("resend", "lossy")
    for first, last in asked["ranges"]:
        for seq in range(first, (len(messages) - 1 if last is None else last) + 1):
            router.send_multipart([client, *messages[seq]])
    done = {"schema": "eelswatch.stream/1", "type": "resend_end", "scan": "lossy", "missing": []}
    router.send_multipart([client, json.dumps(done).encode()])
    # the lost scan_end is asked for after a moment of silence
    while service.scan("lossy")["state"] == "open":
        if router.poll(200):
            client, request = router.recv_multipart()
            for first, last in json.loads(request)["ranges"]:
                for seq in range(first, (len(messages) - 1 if last is None else last) + 1):
                    router.send_multipart([client, *messages[seq]])
            router.send_multipart([client, json.dumps(done).encode()])
    assert service.closed("lossy")["state"] == "complete"
    assert_same_maps(service.maps("lossy", tmp_path), offline)
    resends = service.ask("api/health")[1]["resends"]
    assert resends["asked"] >= 2, "the gaps, then the end"
    assert 1 <= resends["answered"] <= resends["asked"]
    sender.close()


def test_pixels_lost_for_good_are_missing_and_all_others_are_scored(serve, material, tmp_path):
    service, sender = serve()
    messages = messages_of(material.image, "holes")
    sender.send(*messages[:8], *messages[9:])
    view = service.closed("holes")
    assert view["state"] == "incomplete"
    assert (view["pixels"]["missing"], view["pixels"]["scored"]) == (32, 1024 - 32)
    maps = service.maps("holes", tmp_path)
    assert np.isnan(maps["score"][7]).all()
    assert np.isnan(maps["total"][7]).all()
    assert np.isfinite(np.delete(maps["score"], 7, axis=0)).all()


def test_the_hostile_corpus_is_counted_one_by_one_and_the_scan_around_it_unharmed(serve, material, offline, tmp_path):
    service, sender = serve()
    messages = messages_of(material.image, "s")
    # messages that fit the corpus' own small scan are as hostile to this larger one, but for those about its layout
    corpus = [h for h in streams.hostile_corpus() if h.frames and "block" not in h.name]
    sender.send(messages[0])
    for i, message in enumerate(messages[1:-1]):
        sender.send(message, *(h.frames for h in corpus[i::32]))
    sender.send(messages[-1])
    view = service.closed("s")
    health = service.ask("api/health")[1]
    assert view["state"] == "complete"
    assert view["wire_errors"]["total"] + health["wire_errors"]["total"] == len(corpus)
    assert_same_maps(service.maps("s", tmp_path), offline)


def test_an_axis_that_does_not_cover_the_model_is_recorded_and_told(serve, material):
    service, sender = serve()
    energy = {"offset_ev": 50.0, "step_ev": 0.5, "size": 120}
    first = streams.start("low loss", (32, 32), energy, material.image.counts.dtype.str)
    sender.send(first, *messages_of(material.image, "low loss")[1:])
    view = service.closed("low loss")
    assert (view["state"], view["pixels"]["received"], view["pixels"]["scored"]) == ("complete", 1024, 0)
    assert "does not cover" in view["why"]
    assert service.ask("api/scans/low%20loss/pixels/3/4")[1]["expected"] is None


def test_a_wider_axis_in_finer_channels_is_resampled_and_scored(serve, material, offline, tmp_path):
    service, sender = serve()
    image = material.image
    fine = np.repeat(image.counts // 2, 2, axis=2)  # each channel's counts in two halves
    fine[..., ::2] += image.counts % 2
    step = image.energy.step_ev / 2
    padded = np.concatenate([np.full((32, 32, 10), 7, fine.dtype), fine], axis=2)
    energy = {"offset_ev": image.energy.offset_ev - step / 2 - 10 * step, "step_ev": step, "size": padded.shape[2]}
    blocks = [streams.block(padded[row : row + 1], (row, 0), row + 1, "fine") for row in range(32)]
    sender.send(streams.start("fine", (32, 32), energy, fine.dtype.str), *blocks, streams.end(33, "fine"))
    assert service.closed("fine")["pixels"]["scored"] == 1024
    assert_same_maps(service.maps("fine", tmp_path), offline)


def test_a_finished_scan_stays_with_identical_maps_after_a_restart(serve, material, tmp_path):
    service, sender = serve()
    sender.send(*messages_of(material.image, "kept / for ever"))
    service.closed("kept / for ever")
    before = service.fetch("api/scans/kept%20%2F%20for%20ever/maps.npz")[1]
    assert service.stop(signal.SIGTERM) == 0
    again, _ = serve(sender=sender)
    assert [scan["scan"] for scan in again.ask("api/scans")[1]["scans"]] == ["kept / for ever"]
    assert again.fetch("api/scans/kept%20%2F%20for%20ever/maps.npz")[1] == before


def test_a_monitor_killed_in_mid_scan_goes_on_after_a_restart(serve, material, offline, tmp_path):
    service, sender = serve()
    messages = messages_of(material.image, "killed")
    sender.send(*messages[:20])
    service.until(lambda: service.scan("killed").get("pixels", {}).get("received") == 19 * 32, "the first rows")
    service.stop(signal.SIGKILL)
    again, _ = serve(sender=sender)
    sender.send(messages[0], *messages[20:])
    assert again.closed("killed")["state"] == "complete"
    assert_same_maps(again.maps("killed", tmp_path), offline)


def test_a_rule_set_in_mid_scan_flags_its_rows_anew_and_outlives_a_crash(serve, material, tmp_path):
    service, sender = serve()
    messages = messages_of(material.image, "ruled")
    sender.send(*messages[:20])
    service.until(lambda: service.scan("ruled").get("pixels", {}).get("scored", 0) >= 15 * 32, "the first scores")
    service.ask("api/settings/fdr", {"false_flags": 30}, "PUT")
    view, maps = service.scan("ruled"), service.maps("ruled", tmp_path)
    assert (view["state"], view["fdr"], view["false_flags"]) == ("open", None, 30.0)
    assert view["pixels"]["flagged"] == maps["flag"].sum() > 0
    np.testing.assert_array_equal(maps["flag"], maps["p_value"] <= np.float32(30 / 1024))
    service.stop(signal.SIGKILL)
    again, _ = serve(sender=sender)
    sender.send(messages[0], *messages[20:])
    assert again.closed("ruled")["false_flags"] == 30.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_service_with_exit_0(serve, number):
    service, _ = serve()
    assert service.stop(number) == 0


def test_serve_runs_where_torch_is_not_installed(serve, material):
    service, sender = serve(before="sys.modules['torch'] = None")
    sender.send(*messages_of(material.image, "no torch"))
    assert service.closed("no torch")["pixels"]["scored"] == 1024


def test_a_recording_that_lost_its_files_does_not_stop_the_service(serve, material, tmp_path):
    import shutil

    service, sender = serve()
    sender.send(*messages_of(material.image, "lost files"))
    service.closed("lost files")
    service.stop()
    for folder in (tmp_path / "data" / "scans").iterdir():
        shutil.rmtree(folder)
    again, _ = serve(sender=sender)
    sender.send(*messages_of(material.image, "lost files"))
    assert again.closed("lost files")["pixels"]["scored"] == 1024


def test_replay_speaks_the_wire_and_its_resend_mends_what_it_drops(material, offline, tmp_path, serve):
    import socket
    import subprocess
    import sys

    with socket.socket() as a, socket.socket() as b:
        a.bind(("127.0.0.1", 0))
        b.bind(("127.0.0.1", 0))
        bind, resend = (f"tcp://127.0.0.1:{s.getsockname()[1]}" for s in (a, b))

    class Replayed:
        endpoint = bind

        def wait(self):
            """The replay waits for its monitor itself."""

    service, _ = serve(sender=Replayed())
    options = [
        "--bind",
        bind,
        "--resend",
        resend,
        "--scan",
        "replayed",
        "--order",
        "serpentine",
        "--blocks-per-row",
        "3",
    ]
    options += [
        "--fault",
        "drop=0.1",
        "--fault",
        "duplicate=0.1",
        "--fault",
        "reorder=0.1",
        "--linger",
        "60",
        "--quiet",
    ]
    replay = subprocess.Popen([sys.executable, "-m", "monitor", "replay", str(material.file), *options])
    try:
        assert service.closed("replayed")["state"] == "complete"
        assert_same_maps(service.maps("replayed", tmp_path), offline)
    finally:
        replay.terminate()
        replay.wait(10)


def test_a_recorded_scan_can_be_replayed_and_an_aborted_one_says_so(serve, material, tmp_path):
    service, sender = serve()
    sender.send(*messages_of(material.image, "first"))
    service.closed("first")
    stored = next((tmp_path / "data" / "scans").iterdir())
    done = command("replay", stored, "--bind", "tcp://127.0.0.1:*", "--wait", "0", "--fault", "abort=0.5", "--quiet")
    assert done.returncode == 0, done.stderr
