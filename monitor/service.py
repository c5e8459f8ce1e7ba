"""The live monitor: one event loop that owns all state, threads that score.

stream -> session -> strips -> scorer -> maps -> page, and regions -> desk -> rescan link. Law: a lane that dies or is
stuck takes the service down with a message; it never goes on looking healthy.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterable, Sequence

import structlog
import zmq
import zmq.asyncio
from fastapi import APIRouter

from monitor.config import LOOPBACK_HOSTS, ServeConfig
from monitor.core.axes import ScanGrid
from monitor.core.desk import RescanDesk, RescanPolicy
from monitor.core.errors import WireError
from monitor.core.events import Event, ResendWanted, ScanClosed, ScanOpened
from monitor.core.live_view import LiveView
from monitor.core.scan import Scan
from monitor.core.session import Session
from monitor.core.version import Version
from monitor.core.watch import Watch
from monitor.core.wire import Frame, Limits
from monitor.io import resend
from monitor.io.archive import Archive
from monitor.io.curve import CurveClient
from monitor.io.guard import Rules
from monitor.io.http import create_app
from monitor.io.lanes import Lanes
from monitor.io.live import Live
from monitor.io.rescan_link import RescanLink
from monitor.io.score_lane import ScoreLane
from monitor.io.scorer import Scorer
from monitor.io.scoring_threads import ScoringThreads
from monitor.io.service_manager import ServiceManager
from monitor.io.vitals import Vitals
from monitor.io.watchdog import Watchdog
from monitor.io.web import GRACE_S, WebServer, listen, url_of
from monitor.sources import source_of

TICK_S = 0.1
SOURCE_S = 0.5
"""How long the ready line waits for a source that is already there."""
PROPOSALS_S = 1.0
TOLD_AGAIN_S = 60.0
"""How long faults of one kind stay silent after one of them was logged; all are counted."""
MESSAGES_PER_TURN = 16
"""Messages taken from a full queue before the rest of the loop has its turn."""

Pages = Iterable[Callable[[LiveView], APIRouter]]
_log = structlog.get_logger(__name__)


class Monitor:
    """Wires the parts of a configuration together. `run` serves until `stop` is called or a lane fails."""

    def __init__(self, config: ServeConfig, scorer: Scorer, *, pages: Pages, manager: ServiceManager) -> None:
        version = Version()
        self._config = config
        self._scorer = scorer
        self._archive = Archive(config.data, card=scorer.card, rule=config.rule)
        self._session = Session(
            shelf=self._archive,
            version=version,
            limits=Limits(max_scan_gib=config.max_scan_gib),
            stall_s=config.stall_s,
        )
        self._version = version
        server_key, own = config.curve_server_key, config.curve_key
        self._curve = CurveClient.from_files(server_key, own) if server_key is not None else None
        self._source = source_of(config, self._curve)
        self._vitals = Vitals(config.data, self._source)
        self._manager = manager
        self._watch = Watch(limit_s=config.stuck_s)
        self._watchdog = Watchdog(self._watch, manager, limit_s=config.stuck_s)
        self._scoring = ScoringThreads(scorer)
        self._score = ScoreLane(self._session, self._scoring, version=version, watch=self._watch)
        self._lanes = Lanes()
        self._told_s: dict[str, float] = {}
        self._pages = pages
        self._proposed: dict[str, int] = {}

    def stop(self) -> None:
        """End `run` gracefully: the record is whole, an open scan can go on after a restart."""
        self._lanes.stop()

    @property
    def scorer_hangs(self) -> bool:
        """True where the scorer has not come back though `run` has ended; nothing else is under way then."""
        return self._scoring.running

    async def run(self, ready: Callable[[str], None]) -> None:
        """Serve; `ready` is called with the page's URL. Raises ConfigError for an address that cannot be used."""
        self._config.check_security()
        self._archive.open()
        context = zmq.asyncio.Context()
        try:
            with listen(*self._config.address) as listener:
                self._assemble(context)
                await self._serve(context, listener, ready)
        finally:
            self._source.close()
            for scan in self._session.active:
                self._archive.save(scan)
            self._archive.close()
            context.destroy(linger=0)
            self._watchdog.end()

    def _assemble(self, context: zmq.asyncio.Context) -> None:
        config = self._config
        self._desk = RescanDesk(
            policy=RescanPolicy(
                dwell_factor=config.dwell_factor, expiry_s=config.rescan_expiry_s, auto_approve=config.auto_approve
            ),
            requests=self._archive.rescans(),
            save=self._archive.save_rescan,
            version=self._version,
        )
        self._link = RescanLink(config.rescan, desk=self._desk, grid_of=self._grid_of)
        self._live = Live(
            session=self._session,
            archive=self._archive,
            desk=self._desk,
            link=self._link,
            scorer=self._scorer,
            source=config.source,
            version=self._version,
            vitals=self._vitals,
        )
        self._link.open(context)
        self._source.open(context)
        for scan in self._archive.left_open():
            self._session.adopt(scan, now_ns=time.monotonic_ns())
        self._score.look()

    async def _serve(self, context: zmq.asyncio.Context, listener: socket.socket, ready: Callable[[str], None]) -> None:
        token = self._config.token.get_secret_value() if self._config.token is not None else None
        rules = Rules(token=token, loopback_only=self._config.address[0] in LOOPBACK_HOSTS)
        server = WebServer(create_app(self._live, rules=rules, pages=[page(self._live) for page in self._pages]))
        self._scoring.start()
        web = self._lanes.start("web", server.serve(sockets=[listener]))
        self._lanes.start("receive", self._receive(context))
        self._lanes.start("score", self._score.run())
        self._lanes.start("tick", self._tick(context))
        self._lanes.start("rescan link", self._link.run())
        self._watchdog.start()
        try:
            await self._source.settle(SOURCE_S)
            listener.listen()  # a browser may come as soon as the line is out
            ready(url_of(listener))
            self._manager.ready()
            await self._lanes.over()
        finally:
            self._watch.stopping(now_ns=time.monotonic_ns())
            self._manager.stopping()
            server.should_exit = True
            await asyncio.wait([web], timeout=2 * GRACE_S)
            await self._lanes.cancel()
            self._scoring.end(GRACE_S)

    async def _receive(self, context: zmq.asyncio.Context) -> None:
        while True:
            for _ in range(MESSAGES_PER_TURN):
                self._watch.rest("receive")
                try:
                    frames = await self._source.receive()
                except WireError as fault:
                    self._refuse(fault)
                else:
                    self._watch.alive("receive", now_ns=time.monotonic_ns())
                    self._take(frames, context)
            await asyncio.sleep(0)

    def _refuse(self, fault: WireError) -> None:
        """Count what the source could not translate; say it, but not a thousand times a second."""
        self._session.refuse(fault)
        self._live.heard(0)
        if time.monotonic() >= self._told_s.get(fault.kind, 0.0):
            self._told_s[fault.kind] = time.monotonic() + TOLD_AGAIN_S
            _log.warning("source message refused", kind=fault.kind, fault=str(fault))

    def _take(self, frames: Sequence[Frame], context: zmq.asyncio.Context, resent: str | None = None) -> None:
        before = sum(scan.assembly.received_pixels for scan in self._session.active)
        for event in self._session.receive(frames, now_ns=time.monotonic_ns(), resent=resent):
            self._on(event, context)
        after = sum(scan.assembly.received_pixels for scan in self._session.active)
        self._live.heard(max(after - before, 0))
        self._score.look()

    async def _tick(self, context: zmq.asyncio.Context) -> None:
        next_proposals_s = 0.0
        while True:
            self._watch.alive("tick", now_ns=time.monotonic_ns())
            for event in self._session.tick(time.monotonic_ns()):
                self._on(event, context)
            if time.monotonic() >= next_proposals_s:
                next_proposals_s = time.monotonic() + PROPOSALS_S
                for scan in self._session.active:
                    self._propose(scan)
                self._archive.retry()
            self._desk.expire(time.time_ns())
            await self._link.send_waiting()
            self._score.look()
            await asyncio.sleep(TICK_S)

    def _on(self, event: Event, context: zmq.asyncio.Context) -> None:
        match event:
            case ScanOpened(scan=scan):
                _log.info("scan opened", scan=scan.id, shape=scan.started.shape, why=scan.record.why)
                self._desk.child_started(scan)
            case ScanClosed(scan=scan):
                _log.info("scan closed", scan=scan.id, state=scan.record.state, flagged=scan.view().pixels.flagged)
                self._propose(scan)
            case ResendWanted():
                self._lanes.errand("resend", self._resend(event, context))

    async def _resend(self, wanted: ResendWanted, context: zmq.asyncio.Context) -> None:
        self._vitals.resends_asked += 1
        _log.info("resend asked", scan=wanted.scan, ranges=wanted.ranges[:8], endpoint=wanted.endpoint)
        try:
            async for frames in resend.fetch(context, wanted.endpoint, wanted.scan, wanted.ranges, curve=self._curve):
                self._take(frames, context, resent=wanted.scan)
        except (zmq.ZMQError, TimeoutError) as fault:
            _log.warning("resend failed", endpoint=wanted.endpoint, fault=str(fault))
            self._session.resend_unanswered(wanted.scan, now_ns=time.monotonic_ns())
        else:
            self._vitals.resends_answered += 1
            self._session.resend_answered(wanted.scan, now_ns=time.monotonic_ns())

    def _propose(self, scan: Scan) -> None:
        self._desk.propose_regions(scan, scan.flags.regions(), now_ns=time.time_ns())

    def _grid_of(self, scan_id: str) -> ScanGrid | None:
        scan = self._session.find(scan_id)
        return None if scan is None else scan.started.grid
