"""What the record lane promises, on the real service: nothing dies of a disk, and no kill costs or forges a pixel."""

import random
import shutil
import signal
import sys
import time
from dataclasses import replace
from threading import Event, Thread

import numpy as np
import pytest

from monitor.sim.publisher import ScanToSend, publish
from monitor.sim.sender import StreamSender
from tests.live import assert_same_maps, messages_of

TWO_HUNDRED_KB = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
"""Run first in the service, it makes every file that grows beyond this an error, as a full disk would."""


def test_a_data_folder_that_cannot_be_written_to_costs_the_recording_and_not_the_scan(
    serve, material, offline, tmp_path
):
    service, sender = serve()
    scans = tmp_path / "data" / "scans"
    shutil.rmtree(scans)
    scans.write_text("no folder any more")
    sender.send(*messages_of(material.image, "lost"))
    view = service.closed("lost")
    assert (view["state"], view["pixels"]["scored"]) == ("complete", 1024)
    assert "cannot be written to" in view["unrecorded"]
    status, health = service.ask("api/health")
    assert (status, health["status"]) == (503, f"scan 'lost' is not recorded: {view['unrecorded']}")
    assert_same_maps(service.maps("lost", tmp_path), offline)
    assert service.ask("api/scans/lost/pixels/3/4")[1]["expected"] is not None
    assert service.log().count("scan is not recorded") == 1

    scans.unlink()
    scans.mkdir()
    sender.send(*messages_of(material.image, "kept"))
    assert service.closed("kept")["unrecorded"] is None
    assert service.ask("api/health")[1]["status"] == "ok"
    assert_same_maps(service.maps("kept", tmp_path), offline)
    assert service.stop() == 0
    again, _ = serve(sender=sender)
    assert [scan["scan"] for scan in again.ask("api/scans")[1]["scans"]] == ["kept"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_scan_that_the_disk_has_no_room_for_is_scored_and_the_next_that_fits_is_recorded(
    serve, material, offline, tmp_path
):
    service, sender = serve(before=TWO_HUNDRED_KB)
    image = material.image
    assert image.counts.nbytes > 200_000
    sender.send(*messages_of(image, "too large"))
    assert service.closed("too large")["unrecorded"] is not None
    assert service.ask("api/health")[0] == 503
    assert_same_maps(service.maps("too large", tmp_path), offline)

    sender.send(*messages_of(replace(image, counts=image.counts[:8]), "fits"))
    assert service.closed("fits")["unrecorded"] is None
    assert service.ask("api/health")[0] == 200
    assert service.stop() == 0


class Publisher:
    """Sends "killed" as far as `share` allows, then "undisturbed"; resends to whoever asks. In a thread of its own."""

    def __init__(self, image):
        self._sender = StreamSender("tcp://127.0.0.1:*", resend="tcp://127.0.0.1:*")
        self._image = image
        self.share = 0.0
        self._opened, self.next, self.stop = Event(), Event(), Event()
        self._thread = Thread(target=self._run)
        self._thread.start()
        assert self._opened.wait(20)
        self.endpoint = self._sender.endpoint

    def wait(self):
        """It waits for its monitor itself."""

    def _run(self):
        with self._sender as sender:
            self._opened.set()
            sender.wait_for_monitor(60)
            for sent in self._publish("killed", rate=400):
                self._answer(lambda sent=sent: sent < self.share * 1024)
            self._answer(self.next.is_set)
            for _ in self._publish("undisturbed", rate=None):
                pass
            self._answer(self.stop.is_set)

    def _publish(self, scan, rate):
        image = self._image
        to_send = ScanToSend(scan=scan, counts=image.counts, energy=image.energy, title="")
        return publish(self._sender, to_send, rate_spectra_per_s=rate, order="shuffled", blocks_per_row=2)

    def _answer(self, until):
        while not until() and not self.stop.is_set():
            self._sender.answer_until(time.monotonic() + 0.02)

    def close(self):
        self.stop.set()
        self._thread.join()


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_a_monitor_that_is_killed_again_and_again_ends_with_the_map_of_one_that_is_not(
    serve, material, tmp_path, kills
):
    instants, publisher = random.Random(kills), Publisher(material.image)
    try:
        service, _ = serve(sender=publisher)
        service.until(lambda: service.scan("killed").get("pixels", {}).get("received"), "the first pixels")
        for life in range(1, kills + 1):
            publisher.share = life / (kills + 1)
            time.sleep(instants.uniform(0, 0.8))  # the restarted one asks at once for all it has missed
            assert service.scan("killed")["state"] == "open"
            service.stop(signal.SIGKILL)
            service, _ = serve(sender=publisher)
        publisher.share = 2.0
        assert service.closed("killed")["state"] == "complete"
        publisher.next.set()
        service.until(lambda: service.scan("undisturbed").get("state"), "the next scan")
        assert service.closed("undisturbed")["state"] == "complete"
        killed, undisturbed = service.maps("killed", tmp_path), service.maps("undisturbed", tmp_path)
        assert service.stop() == 0
    finally:
        publisher.close()
    first, second = sorted((tmp_path / "data" / "scans").iterdir())
    for name in ("counts.npy", "pixel_seq.npy"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    np.testing.assert_array_equal(np.load(first / "counts.npy"), material.image.counts)
    np.testing.assert_array_equal(killed["total"], undisturbed["total"])
    assert_same_maps(killed, undisturbed)
