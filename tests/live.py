"""A small real model, a real service in a process of its own, and a sender that knows the interface's text alone."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import zmq

from monitor.commands.demo import free_port
from monitor.files.spectrum_image import SpectrumImage, write_spectrum_image
from monitor.sim.acquisition import Acquisition, acquire
from monitor.sim.scene import SCENES, window_of
from tests import streams

SCENE = replace(SCENES["demo"], name="small", rows=32, columns=32, energy=window_of(120))
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Material:
    """A model of a clean small specimen, and a scan of another one with hidden defects."""

    model: Path
    scan: Acquisition
    file: Path

    @property
    def image(self) -> SpectrumImage:
        return self.scan.image


@pytest.fixture(scope="session")
def material(tmp_path_factory) -> Material:
    folder = tmp_path_factory.mktemp("material")
    bulk, model, file = folder / "bulk.npz", folder / "model.onnx", folder / "scan.npz"
    write_spectrum_image(bulk, acquire(SCENE.without_anomalies(), 1).image)
    scan = acquire(SCENE, 2)
    write_spectrum_image(file, scan.image)
    for arguments in (
        ["train", bulk, "-o", folder / "run", "--quiet", "steps=300"],
        ["export", folder / "run", "-o", model],
    ):
        command(*arguments, check=True)
    return Material(model=model, scan=scan, file=file)


def command(*arguments, check=False, **more) -> subprocess.CompletedProcess:
    """Run `eelswatch ARGUMENTS` to its end."""
    words = [sys.executable, "-m", "monitor", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=check, timeout=240, **more)


class Service:
    """`eelswatch serve` in a process of its own."""

    def __init__(
        self, model: Path, folder: Path, *options: str, source: str, before: str = "pass", token: str | None = None
    ):
        self.rescan = f"tcp://127.0.0.1:{free_port()}"
        self._log = (folder / f"serve-{time.monotonic_ns()}.log").open("w+")
        self._token = token
        words = ["serve", "--model", str(model), "--source", source, "--data", str(folder / "data")]
        words += ["--http", "127.0.0.1:0", "--rescan", self.rescan, *options]
        code = f"import sys; {before}; from monitor.cli import run; sys.exit(run({words!r}))"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        line = self.process.stdout.readline()
        assert line.startswith("eelswatch ready http://"), self.log()
        self.url = line.split()[-1]

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def ask(self, path: str, body=None, method: str | None = None, **headers):
        """Status and JSON of one request."""
        status, content = self.fetch(path, body, method, **headers)
        return status, json.loads(content)

    def fetch(self, path: str, body=None, method: str | None = None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self._token is not None:
            headers.setdefault("Authorization", f"Bearer {self._token}")
        data = None if body is None else json.dumps(body).encode()
        headers |= {"Content-Type": "application/json"} if data is not None else {}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as fault:
            with fault:
                return fault.code, fault.read()

    def scan(self, scan: str):
        return self.ask(f"api/scans/{urllib.parse.quote(scan, safe='')}")[1]

    def until(self, found, what: str):
        """What `found()` gives once it is neither None nor False."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            value = found()
            if value is not None and value is not False:
                return value
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come; the log says:\n{self.log()}")

    def closed(self, scan: str):
        """The scan once it has left state open."""
        return self.until(
            lambda: view if (view := self.scan(scan)).get("state", "open") != "open" else None, f"end of {scan}"
        )

    def maps(self, scan: str, folder: Path) -> dict[str, np.ndarray]:
        path = folder / "maps.npz"
        path.write_bytes(self.fetch(f"api/scans/{urllib.parse.quote(scan, safe='')}/maps.npz")[1])
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def ended(self, within_s: float = PATIENCE_S) -> tuple[int, list[str]]:
        """Exit code and log lines of a service that ends by itself."""
        code = self.process.wait(within_s)
        lines = self.log().splitlines()
        self._close()
        return code, lines

    def memory_bytes(self, key: str = "VmRSS") -> int:
        """What is resident now, or with `VmHWM` was at most, by /proc/PID/status."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(20)
        self._close()
        return code

    def _close(self):
        self.process.stdout.close()
        self._log.close()


class Sender:
    """Binds a PUB or PUSH socket and, where asked, a resend ROUTER, and sends frames as given."""

    def __init__(self, kind=zmq.PUB):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB if kind == zmq.PUB else kind)
        self.socket.set_hwm(0)
        self.endpoint = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"

    def wait(self):
        assert self.socket.poll(20_000, zmq.POLLIN if self.socket.type == zmq.XPUB else zmq.POLLOUT)

    def send(self, *messages):
        for frames in messages:
            if frames:  # ZeroMQ itself has no message of no frames
                self.socket.send_multipart(frames)

    def close(self):
        self.context.destroy(linger=1000)


@contextmanager
def services(material: Material, folder: Path) -> Iterator[Callable[..., tuple[Service, Sender]]]:
    """Starts services in `folder` that end with it: start(*options, kind=zmq.PUB) gives (service, sender)."""
    started, senders = [], []

    def start(*options, kind=zmq.PUB, sender=None, **more):
        if sender is None:
            sender = Sender(kind)
            senders.append(sender)
        service = Service(material.model, folder, *options, source=sender.endpoint, **more)
        started.append(service)
        sender.wait()
        return service, sender

    yield start
    for sender in senders:
        sender.close()
    for service in started:
        if service.process.poll() is None:
            service.stop()


@pytest.fixture
def serve(material, tmp_path) -> Iterator:
    """`services` of one test alone, in its folder."""
    with services(material, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def watched(material, tmp_path_factory) -> Iterator[Service]:
    """A service that has watched the scan `film` to its end, shared by tests that leave its settings as they are."""
    with services(material, tmp_path_factory.mktemp("watched")) as start:
        service, sender = start()
        sender.send(*messages_of(material.image, "film"))
        service.closed("film")
        yield service


@pytest.fixture
def offline(material, tmp_path) -> dict[str, np.ndarray]:
    """What `eelswatch score` says of the scan."""
    out = tmp_path / "offline.npz"
    command("score", material.model, material.file, "-o", out, check=True)
    with np.load(out, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def energy_of(image: SpectrumImage) -> dict:
    """Its energy axis in the words of the interface."""
    return {"offset_ev": image.energy.offset_ev, "step_ev": image.energy.step_ev, "size": image.energy.size}


def messages_of(image: SpectrumImage, scan: str, width: int | None = None, **more):
    """The whole scan in the words of the interface, in blocks of a row or of `width` pixels of one."""
    counts = image.counts
    rows, columns = counts.shape[:2]
    step = width or columns
    places = [(row, column) for row in range(rows) for column in range(0, columns, step)]
    blocks = [
        streams.block(counts[row : row + 1, column : column + step], (row, column), seq, scan)
        for seq, (row, column) in enumerate(places, start=1)
    ]
    first = streams.start(scan, (rows, columns), energy_of(image), counts.dtype.str, **more)
    return [first, *blocks, streams.end(len(blocks) + 1, scan)]


def assert_same_maps(got, wanted):
    """Equal to 1e-4, NaN in the same places (interface, section 5)."""
    more = ("label", "energy_lo_ev", "energy_hi_ev", "amount", "amount_error", "drift_ev")
    for name in ("score", "p_value", "energy_ev", "flag", "kind", *more):
        a, b = got[name].astype(float), wanted[name].astype(float)
        assert a.shape == b.shape
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b), err_msg=name)
        excess = np.nan_to_num(np.abs(a - b) - 1e-4 * np.maximum(1.0, np.abs(b)))
        assert excess.max() <= 0, f"{name} differs by up to {np.nanmax(np.abs(a - b))}"


@contextmanager
def instrument(service: Service, hello: bool = True):
    """A DEALER on the rescan link, as an instrument program would have it."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(service.rescan)
    try:
        if hello:
            say(socket, type="hello", client="test instrument")
        yield socket
    finally:
        context.destroy(linger=0)


def say(socket, **message):
    socket.send(json.dumps({"schema": "eelswatch.rescan/1"} | message).encode())


def hear(socket, timeout_s=10.0):
    """The next rescan request, or None within the time."""
    deadline = time.monotonic() + timeout_s
    while (left := deadline - time.monotonic()) > 0 and socket.poll(int(left * 1000)):
        message = json.loads(socket.recv())
        if message["type"] == "rescan":
            return message
    return None
