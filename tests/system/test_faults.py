"""The real service under what goes wrong between a detector and a monitor."""

import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
from websockets.sync.client import connect

from monitor.commands.demo import free_port
from monitor.sim.acquisition import acquire
from tests import streams
from tests.live import SCENE, assert_same_maps, messages_of

MIB = 2**20
FALSE_FLAGS = 30
PAGES = 10


def test_of_clean_scans_with_lost_messages_the_lost_pixels_alone_are_missing_and_false_flags_keep_their_promise(
    serve, material, tmp_path
):
    service, sender = serve("--false-flags", str(FALSE_FLAGS))
    width, rng, flagged, scored = 8, random.Random(1), 0, 0
    for seed in range(10, 16):
        scan = f"clean {seed}"
        messages = messages_of(acquire(SCENE.without_anomalies(), seed).image, scan, width)
        lost = rng.sample(range(1, len(messages) - 1), k=len(messages) // 20)
        sender.send(*(frames for seq, frames in enumerate(messages) if seq not in lost))
        view = service.closed(scan)
        assert (view["state"], view["pixels"]["missing"]) == ("incomplete", width * len(lost))
        missing = np.zeros((32, 32), bool)
        for seq in lost:
            row, lo = json.loads(messages[seq][0])["origin"]
            missing[row, lo : lo + width] = True
        maps = service.maps(scan, tmp_path)
        np.testing.assert_array_equal(np.isnan(maps["score"]), missing)
        flagged, scored = flagged + maps["flag"].sum(), scored + (~missing).sum()
    nominal = FALSE_FLAGS / 1024 * scored
    assert 0 < flagged <= 2 * nominal, f"{flagged} of {nominal:.0f}"


def test_ten_thousand_hostile_messages_between_good_ones_cost_a_count_each_and_no_memory(
    serve, material, offline, tmp_path
):
    service, sender = serve()
    # messages that fit the corpus' own small scan are as hostile to this larger one, but for those about its layout
    corpus = [h for h in streams.hostile_corpus() if h.frames and "block" not in h.name]
    messages = messages_of(material.image, "warm")
    sender.send(*messages[:2], *(h.frames for h in corpus if h.kind != "conflict"), *messages[2:])
    service.closed("warm")
    told = service.ask("api/health")[1]["wire_errors"]["total"]
    before = service.memory_bytes()

    first, *blocks, last = messages_of(material.image, "s")
    shares = np.array_split(np.arange(10_000) % len(corpus), len(blocks))
    sender.send(first)
    for frames, share in zip(blocks, shares, strict=True):
        sender.send(*(corpus[n].frames for n in share), frames)
        time.sleep(0.05)  # a sender that outruns the monitor would queue in it
    sender.send(last)
    view = service.closed("s")
    assert view["state"] == "complete"
    assert view["wire_errors"]["total"] + service.ask("api/health")[1]["wire_errors"]["total"] - told == 10_000
    assert_same_maps(service.maps("s", tmp_path), offline)
    assert service.memory_bytes() - before < 20 * MIB


def test_a_sender_that_is_killed_costs_its_scan_the_rest_and_the_next_sender_nothing(
    material, offline, tmp_path, serve
):
    class Replay:
        """`eelswatch replay` on a port that its successor takes over."""

        endpoint, resend = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))

        def start(self, scan, *options):
            words = [sys.executable, "-m", "monitor", "replay", str(material.file), "--scan", scan, "--quiet"]
            words += ["--bind", self.endpoint, "--resend", self.resend, *options]
            self.process = subprocess.Popen(words)

        def wait(self):
            """It waits for its monitor itself."""

    replay = Replay()
    replay.start("killed", "--rate", "300")
    try:
        service, _ = serve("--stall", "3", sender=replay)
        service.until(lambda: service.scan("killed").get("pixels", {}).get("received", 0) > 200, "the first rows")
        replay.process.send_signal(signal.SIGKILL)
        replay.process.wait(10)
        view = service.closed("killed")
        assert view["state"] == "incomplete"
        assert view["pixels"]["scored"] == view["pixels"]["received"] > 200
        replay.start("next", "--linger", "60", "--fault", "truncate=0.2", "--fault", "drop=0.1")
        assert service.closed("next")["state"] == "complete"
        assert service.scan("next")["wire_errors"]["kinds"].keys() == {"payload"}
        assert_same_maps(service.maps("next", tmp_path), offline)
        assert service.ask("api/health")[1]["status"] == "ok"
    finally:
        replay.process.kill()
        replay.process.wait(10)


def test_a_scan_of_the_same_id_again_changes_nothing_of_the_first(serve, material, tmp_path):
    service, sender = serve()
    messages = messages_of(material.image, "twice")
    sender.send(*messages)
    service.closed("twice")
    before = service.fetch("api/scans/twice/maps.npz")[1]
    first, *blocks, last = messages_of(acquire(SCENE, 9).image, "twice", 16)
    sender.send(first, *blocks, last, *messages_of(material.image, "after"))
    service.closed("after")
    assert service.fetch("api/scans/twice/maps.npz")[1] == before
    view = service.scan("twice")
    assert (view["state"], view["blocks"]["stray"]) == ("complete", len(blocks))


def test_messages_that_come_a_second_late_are_waited_for(serve, material, offline, tmp_path):
    service, sender = serve()
    messages = messages_of(material.image, "slow")
    sender.send(*messages[:10], *messages[14:20])
    time.sleep(1.5)  # the delay itself
    sender.send(*messages[20:], *messages[10:14])
    assert service.closed("slow")["state"] == "complete"
    assert_same_maps(service.maps("slow", tmp_path), offline)


def test_pages_that_take_nothing_hold_up_neither_the_scan_nor_a_page_that_does(serve, material, offline, tmp_path):
    service, sender = serve()
    address = service.url.replace("http", "ws") + "ws"
    stalled = [connect(address, max_size=None, max_queue=1) for _ in range(PAGES)]
    try:
        before = service.memory_bytes()
        for n in range(4):
            sender.send(*messages_of(material.image, f"busy {n}"))
            assert service.closed(f"busy {n}")["state"] == "complete"
        assert_same_maps(service.maps("busy 3", tmp_path), offline)
        with connect(address, max_size=None) as page:
            assert page.recv(timeout=10)
        assert service.memory_bytes() - before < 40 * MIB
    finally:
        for page in stalled:
            page.socket.close()
