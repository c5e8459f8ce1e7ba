"""`serve --source URL`: each kind of source through the real service, and what is said where one cannot be used."""

import json
import subprocess
import sys

import numpy as np
import pytest
import zmq
import zmq.auth

from monitor.commands.demo import free_port
from tests import dectris
from tests.live import Sender, assert_same_maps, command, messages_of
from tests.system.test_command_errors import one_line, serving

SCAN = ["--scan-rows", "32", "--scan-columns", "32"]
ENERGY = ["--energy-offset", "420", "--energy-step", "0.8"]


SERIES = "01HBV3JPF9T4ZDPADX7EMK6XMZ"


@pytest.fixture
def detector():
    """A PUSH socket as a DECTRIS detector has it."""
    made = Sender(zmq.PUSH)
    made.endpoint = f"dectris+{made.endpoint}"
    yield made
    made.close()


def images_of(image):
    """Messages of an image for each pixel: its counts spread over two detector rows."""
    counts = image.counts.astype("<u2")
    share = np.random.default_rng(0).binomial(counts, 0.3).astype("<u2")
    pixels = np.stack([share, counts - share], axis=2).reshape(-1, 2, counts.shape[-1])
    return [[dectris.image(two_rows, number, pack=dectris.bslz4)] for number, two_rows in enumerate(pixels)]


def scan_of(image):
    """The options that say what the detector does not know."""
    return [*SCAN, "--energy-offset", str(image.energy.offset_ev), "--energy-step", str(image.energy.step_ev)]


def test_a_dectris_detector_gives_the_maps_of_score(serve, detector, material, offline, tmp_path):
    service, _ = serve(*scan_of(material.image), sender=detector)
    detector.send([dectris.start(1024)], [b"\x9f"], *images_of(material.image), [dectris.end()])
    view = service.closed(SERIES)
    assert (view["state"], view["title"]) == ("complete", "series 7")
    assert view["wire_errors"]["total"] == 0
    assert_same_maps(service.maps(SERIES, tmp_path), offline)
    assert service.ask("api/health")[1]["wire_errors"] == {"total": 1, "kinds": {"cbor": 1}}
    assert "source message refused" in service.log()


def test_a_monitor_started_again_goes_on_with_the_series(serve, detector, material, offline, tmp_path):
    images = images_of(material.image)
    service, _ = serve(*scan_of(material.image), sender=detector)
    detector.send([dectris.start(1024)], *images[:500])
    service.until(lambda: service.scan(SERIES).get("pixels", {}).get("received") == 500, "the first images")
    service.stop()
    service, _ = serve(*scan_of(material.image), sender=detector)
    detector.send(*images[500:], [dectris.end()])
    view = service.closed(SERIES)
    assert (view["state"], view["wire_errors"]["total"]) == ("complete", 0)
    assert_same_maps(service.maps(SERIES, tmp_path), offline)


class Replayed:
    """A replay in place of a sender: it waits for its monitor itself."""

    def __init__(self):
        self.endpoint, self.resend = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))

    def wait(self):
        pass


@pytest.mark.parametrize("mode", ["pub", "push"])
def test_a_replay_and_a_monitor_talk_encrypted_resends_included(mode, serve, material, offline, tmp_path):
    zmq.auth.create_certificates(tmp_path, "source")
    sender = Replayed()
    modes = {"pub": "sub", "push": "pull"}
    service, _ = serve("--curve-server-key", str(tmp_path / "source.key"), "--mode", modes[mode], sender=sender)
    options = ["--bind", sender.endpoint, "--resend", sender.resend, "--curve-key", tmp_path / "source.key_secret"]
    options += ["--mode", mode, "--fault", "drop=0.1", "--scan", "secret", "--linger", "60", "--quiet"]
    words = [sys.executable, "-m", "monitor", "replay", material.file, *options]
    replay = subprocess.Popen([str(word) for word in words])
    try:
        assert service.closed("secret")["state"] == "complete"
        assert_same_maps(service.maps("secret", tmp_path), offline)
        assert "resend asked" in service.log()
    finally:
        replay.terminate()
        replay.wait(10)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ([], "--scan-rows, --scan-columns, --energy-offset, --energy-step"),
        (SCAN, "--energy-offset, --energy-step"),
        ([*SCAN, "--energy-offset", "420"], "--energy-step"),
        ([*SCAN, "--energy-offset", "420", "--energy-step", "0"], "energy_step_ev"),
        ([*SCAN, *ENERGY, "--scan-rows", "0"], "scan_rows"),
        ([*SCAN, *ENERGY, "--detector-region", "5:5,0:10"], "wanted R0:R1,C0:C1"),
        ([*SCAN, *ENERGY, "--detector-region", "rows 3 to 5"], "wanted R0:R1,C0:C1"),
    ],
    ids=str,
)
def test_a_detector_without_its_scan_is_misuse(options, wanted, material, tmp_path):
    done = command(*serving(material.model, tmp_path, "--source", "dectris+tcp://127.0.0.1:1", *options))
    assert done.returncode == 2
    assert wanted in done.stderr.strip().splitlines()[-1]


def test_a_detector_is_not_asked_to_encrypt(material, tmp_path):
    zmq.auth.create_certificates(tmp_path, "source")
    options = ["--source", "dectris+tcp://127.0.0.1:1", *SCAN, *ENERGY, "--curve-server-key", tmp_path / "source.key"]
    done = command(*serving(material.model, tmp_path, *options))
    assert done.returncode == 2
    assert "does not encrypt" in done.stderr


def test_a_monitors_key_alone_is_misuse(material, tmp_path):
    assert "--curve-server-key" in one_line(command(*serving(material.model, tmp_path, "--curve-key", "x")), 2)


def test_a_key_file_that_is_not_there_is_one_line_after_the_log(material, tmp_path):
    done = command(*serving(material.model, tmp_path, "--curve-server-key", tmp_path / "none.key"))
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("eelswatch: key file")


@pytest.mark.parametrize("package", ["cbor2", "lz4"])
def test_without_the_extra_the_error_names_it(package, material, tmp_path):
    arguments = serving(material.model, tmp_path, "--source", "dectris+tcp://127.0.0.1:1", *SCAN, *ENERGY)
    code = f"import sys; sys.modules[{package!r}] = None; from monitor.cli import run; sys.exit(run(sys.argv[1:]))"
    words = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last == f"eelswatch: the package {package} is not installed; pip install 'eelswatch[dectris]'"


FOREIGN = """
import json
from pathlib import Path

class FileOfMessages:
    def __init__(self, url, config):
        self.lines = [bytes.fromhex(frame) for frame in json.loads(Path(url.partition("://")[2]).read_text())]
    def open(self, context): pass
    async def settle(self, timeout_s): pass
    async def receive(self):
        import asyncio
        if not self.lines:
            await asyncio.Event().wait()
        header = self.lines.pop(0)
        return [header, self.lines.pop(0)] if b'"block"' in header else [header]
    def close(self): pass
"""


def test_a_package_may_bring_a_source_of_its_own(serve, material, offline, tmp_path, monkeypatch):
    package = tmp_path / "package"
    (package / "foreign-1.dist-info").mkdir(parents=True)
    (package / "foreign.py").write_text(FOREIGN)
    (package / "foreign-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1\n")
    (package / "foreign-1.dist-info" / "entry_points.txt").write_text(
        "[eelswatch.sources]\nmessages+file = foreign:FileOfMessages\n"
    )
    frames = [frame for message in messages_of(material.image, "foreign") for frame in message]
    (tmp_path / "messages.json").write_text(json.dumps([frame.hex() for frame in frames]))
    sender = Replayed()
    sender.endpoint = f"messages+file://{tmp_path / 'messages.json'}"
    service, _ = serve(sender=sender, before=f"sys.path.append({str(package)!r})")
    assert service.closed("foreign")["state"] == "complete"
    assert_same_maps(service.maps("foreign", tmp_path), offline)


def test_a_scheme_that_nobody_knows_lists_those_that_are(material, tmp_path):
    done = command(*serving(material.model, tmp_path, "--source", "gatan://127.0.0.1:1"))
    assert done.returncode == 1
    assert "wanted one of tcp://, ipc://, dectris+tcp://" in done.stderr.strip().splitlines()[-1]
