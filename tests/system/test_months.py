"""What only size or time shows: a scan of half a gibibyte, and scan after scan under everything that goes wrong."""

import os
import random
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from websockets.sync.client import connect

from monitor.files.spectrum_image import write_spectrum_image
from monitor.sim.acquisition import acquire
from monitor.sim.scene import window_of
from tests import streams
from tests.live import SCENE, Sender, Service, command, energy_of, messages_of

GIB, MIB = 2**30, 2**20
PEAK_GIB = 1.5
SOAK_MINUTES = float(os.environ.get("EELSWATCH_SOAK_MINUTES", "10"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_scan_of_half_a_gibibyte_is_held_in_less_than_three_times_that(tmp_path):
    scene = replace(SCENE, energy=window_of(1024))
    bulk, model = tmp_path / "bulk.npz", tmp_path / "model.onnx"
    write_spectrum_image(bulk, acquire(scene.without_anomalies(), 1).image)
    command("train", bulk, "-o", tmp_path / "run", "--quiet", "steps=20", check=True)
    command("export", tmp_path / "run", "-o", model, check=True)
    image, shape = acquire(scene, 2).image, (512, 512)
    rows = np.tile(image.counts, (1, 16, 1)).astype("<u2")
    sender = Sender()
    service = Service(model, tmp_path, source=sender.endpoint)
    try:
        sender.wait()
        sender.send(streams.start("large", shape, energy_of(image), "<u2"))
        for row in range(512):
            sender.send(streams.block(rows[row % 32 : row % 32 + 1], (row, 0), row + 1, "large"))
            if row % 16 == 15:
                wanted = 512 * (row - 16)
                service.until(lambda wanted=wanted: service.scan("large")["pixels"]["scored"] >= wanted, "the scores")
        sender.send(streams.end(513, "large"))
        assert service.closed("large")["state"] == "complete"
        peak = service.memory_bytes("VmHWM")
        sys.stdout.write(f"peak {peak / GIB:.2f} GiB\n")
        assert peak < PEAK_GIB * GIB
        assert service.stop() == 0
    finally:
        sender.close()
        service.process.kill()


class Visitors:
    """Pages that come, take what they are sent or nothing at all, and go, half of them without a word."""

    def __init__(self, service: Service, rng: random.Random):
        self._address, self._rng = service.url.replace("http", "ws") + "ws", rng
        self._pages = []

    def stir(self):
        while len(self._pages) < 6:
            opening = connect(self._address, max_size=None, max_queue=1, close_timeout=1)
            self._pages.append((opening, opening.__enter__()))
        for _, page in self._rng.sample(self._pages, 2):
            page.recv(timeout=10)
        for gone in self._rng.sample(self._pages, 3):
            self._leave(gone)

    def leave(self):
        for gone in list(self._pages):
            self._leave(gone)

    def _leave(self, gone):
        self._pages.remove(gone)
        opening, page = gone
        if self._rng.random() < 0.5:
            page.socket.close()
        opening.__exit__(None, None, None)


def disturbed(messages, hostile, rng: random.Random):
    """The messages with a few of them lost, doubled, out of order, cut off, and strangers' between them."""
    first, *rest = messages
    sent = [first]
    for frames in rest:
        match rng.choices(["as it is", "lost", "twice", "cut", "late", "hostile"], [80, 2, 2, 2, 10, 4])[0]:
            case "lost":
                continue
            case "twice":
                sent += [frames, frames]
            case "cut":
                sent.append([*frames[:-1], frames[-1][:-3]])
            case "late":
                sent.insert(rng.randint(max(len(sent) - 3, 1), len(sent)), frames)
            case "hostile":
                sent += [frames, rng.choice(hostile)]
            case _:
                sent.append(frames)
    return sent


@pytest.mark.soak
@pytest.mark.timeout(SOAK_MINUTES * 60 + 300)
def test_scan_after_scan_under_all_that_goes_wrong_takes_no_more_memory_files_or_threads(serve, material):
    rng = random.Random(1)
    service, sender = serve("--stall", "2")
    visitors = Visitors(service, rng)
    hostile = [h.frames for h in streams.hostile_corpus() if h.frames and h.kind not in ("conflict", "seq")]
    process, images = Path(f"/proc/{service.process.pid}"), [acquire(SCENE, seed).image for seed in range(20, 24)]
    taken, begun = [], time.monotonic()
    try:
        while (passed := time.monotonic() - begun) < SOAK_MINUTES * 60:
            scan = f"soak {len(taken)}"
            sender.send(*disturbed(messages_of(rng.choice(images), scan), hostile, rng))
            visitors.stir()
            view = service.closed(scan)
            assert view["pixels"]["scored"] == view["pixels"]["received"] > 0
            files, threads = len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))
            taken.append((passed, service.memory_bytes(), files, threads))
    finally:
        visitors.leave()
    at, memory, files, threads = np.array(taken).T
    assert len(taken) > 30, "too few scans to say anything"
    warm, late = memory[(at > at[-1] / 3) & (at <= at[-1] * 2 / 3)], memory[at > at[-1] * 2 / 3]
    sys.stdout.write(
        f"{len(taken)} scans in {at[-1]:.0f} s: {warm.mean() / MIB:.1f}, then {late.mean() / MIB:.1f} MiB\n"
    )
    assert late.mean() - warm.mean() < 5 * MIB
    assert files[-10:].max() <= files[5:15].max() + 2
    assert threads[-10:].max() <= threads[5:15].max() + 2
    assert service.ask("api/health")[1]["status"] == "ok"
    assert service.stop() == 0
