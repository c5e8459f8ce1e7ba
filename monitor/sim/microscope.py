"""A simulated microscope: scans its specimen, streams it, and carries out rescans that the monitor sends."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from contextlib import suppress

import numpy as np
import zmq

from monitor.core import rescan_wire
from monitor.core.axes import Region
from monitor.core.errors import WireError
from monitor.core.messages import Parent
from monitor.core.rescan_wire import Hello, Ping, Rescan, Status
from monitor.sim.publisher import ScanToSend, publish
from monitor.sim.scene import Scene
from monitor.sim.sender import StreamSender
from monitor.sim.specimen import SimulatedSpecimen

PING_S = 2.0
CLIENT = "simulated microscope"


class SimulatedMicroscope:
    """One specimen under one beam; one thing at a time, as in the real one. `stop` ends it soon after it is set."""

    def __init__(
        self,
        *,
        scene: Scene,
        seed: int,
        sender: StreamSender,
        rescan: str,
        rate_spectra_per_s: float,
        stop: threading.Event,
    ) -> None:
        self._scene = scene
        self._seed = seed
        self._sender = sender
        self._rescan = rescan
        self._rate = rate_spectra_per_s
        self._stop = stop
        self._rng = np.random.default_rng([seed, 17])
        self._waiting: deque[Rescan] = deque()
        self._seen: set[str] = set()
        self._pinged_s = 0.0

    def run(self, *, scans: int | None = None, pause_s: float = 10.0) -> None:
        """Scan `scans` specimens (None: for ever), one after another; rescans are served for `pause_s` after each."""
        context = zmq.Context()
        self._link = context.socket(zmq.DEALER)
        self._link.linger = 500
        self._link.connect(self._rescan)
        self._say(Hello(client=CLIENT))
        try:
            number = 0
            while not self._stop.is_set() and (scans is None or number < scans):
                self._scan_specimen(self._seed + number, pause_s)
                number += 1
        finally:
            context.destroy()

    def _scan_specimen(self, seed: int, pause_s: float) -> None:
        specimen = SimulatedSpecimen.build(self._scene, seed)
        scan = f"{self._scene.name}-{seed}-{uuid.uuid4().hex[:8]}"
        self._stream(specimen, specimen.whole, 1.0, scan, f"simulated {self._scene.name}, specimen {seed}", None)
        idle_since_s = time.monotonic()
        while not self._stop.is_set() and (self._waiting or time.monotonic() - idle_since_s < pause_s):
            self._sender.answer_until(time.monotonic() + 0.05)
            self._attend()
            if self._waiting:
                self._carry_out(specimen, scan, self._waiting.popleft())
                idle_since_s = time.monotonic()

    def _carry_out(self, specimen: SimulatedSpecimen, scan: str, request: Rescan) -> None:
        if request.scan != scan:
            self._say(Status(id=request.id, state="failed", message=f"{request.scan} is no longer under the beam"))
            return
        if request.expires_ns <= time.time_ns():
            self._say(Status(id=request.id, state="failed", message="the request has expired"))
            return
        child = f"{scan}-rescan-{uuid.uuid4().hex[:8]}"
        self._say(Status(id=request.id, state="running", scan=child))
        row0, col0, row1, col1 = request.region
        self._stream(
            specimen,
            Region(row0=row0, col0=col0, row1=row1, col1=col1),
            request.dwell_factor,
            child,
            f"rescan at {request.reason.label}",
            Parent(scan=scan, region=request.region, rescan=request.id),
        )
        if self._stop.is_set():
            self._say(Status(id=request.id, state="failed", scan=child, message="the microscope was stopped"))
        else:
            self._say(Status(id=request.id, state="done", scan=child))

    def _stream(
        self,
        specimen: SimulatedSpecimen,
        region: Region,
        dwell_factor: float,
        scan: str,
        title: str,
        parent: Parent | None,
    ) -> None:
        scene = self._scene
        to_send = ScanToSend(
            scan=scan,
            counts=specimen.acquire(region, dwell_factor, self._rng),
            energy=scene.energy,
            title=title,
            dwell_us=scene.dwell_us * dwell_factor,
            pixel_nm=(scene.pixel_nm, scene.pixel_nm),
            beam_kev=scene.beam_kev,
            parent=parent,
        )
        for _ in publish(self._sender, to_send, rate_spectra_per_s=self._rate / dwell_factor):
            if self._stop.is_set():
                return
            self._attend()

    def _attend(self) -> None:
        if time.monotonic() - self._pinged_s >= PING_S:
            self._say(Ping())
        while self._link.poll(0):
            try:
                message = rescan_wire.decode_from_monitor(self._link.recv())
            except WireError:
                continue
            if isinstance(message, Rescan) and message.id not in self._seen:
                self._seen.add(message.id)
                self._waiting.append(message)
                self._say(Status(id=message.id, state="accepted"))

    def _say(self, message: rescan_wire.LinkMessage) -> None:
        with suppress(zmq.Again):  # nobody there to read, and a queue full of pings
            self._link.send(rescan_wire.encode(message), zmq.NOBLOCK)
        self._pinged_s = time.monotonic()
