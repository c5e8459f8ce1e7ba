"""The live state as the web side may ask for it: pictures made on demand, on the service's own event loop.

Law: readers get immutable pictures; the session, the archive and the desk each have one writer, the service's loop.
"""

from __future__ import annotations

import time
from collections import deque
from importlib.metadata import version as version_of

import numpy as np

from monitor.core import views
from monitor.core.desk import RescanDesk
from monitor.core.flagging import FlagRule
from monitor.core.live_view import MapRows
from monitor.core.model_card import Card
from monitor.core.scan import Scan
from monitor.core.session import Session
from monitor.core.version import Version
from monitor.io.archive import Archive
from monitor.io.inspector import Inspector
from monitor.io.rescan_link import RescanLink
from monitor.io.scorer import Scorer
from monitor.io.vitals import Vitals

RATE_WINDOW_S = 5.0
RESCANS_SHOWN = 200
VERSION = version_of("eelswatch")


class Live:
    """Implements `monitor.core.live_view.LiveView`, and what the HTTP routes ask beyond it."""

    def __init__(
        self,
        *,
        session: Session,
        archive: Archive,
        desk: RescanDesk,
        link: RescanLink,
        scorer: Scorer,
        source: str,
        version: Version,
        vitals: Vitals,
    ) -> None:
        self.session = session
        self.archive = archive
        self.desk = desk
        self._link = link
        self._scorer = scorer
        self._source = source
        self._version = version
        self._vitals = vitals
        self._inspector = Inspector(scorer)
        self._arrivals: deque[tuple[float, int]] = deque()
        self._heard_s: float | None = None

    @property
    def card(self) -> Card:
        """The card of the model that is loaded."""
        return self._scorer.card

    def heard(self, pixels: int) -> None:
        """A message has arrived that brought `pixels` pixels."""
        self._heard_s = time.monotonic()
        self._forget_old(self._heard_s)
        if pixels:
            self._arrivals.append((self._heard_s, pixels))

    def version(self) -> int:
        """See LiveView."""
        return self._version.value

    def health(self) -> views.HealthView:
        """See LiveView."""
        now_s = time.monotonic()
        self._forget_old(now_s)
        unknown = self.session.unknown_scans(time.monotonic_ns())
        return views.HealthView(
            status=self.archive.fault if self.archive.fault is not None else "ok",
            notices=[f"blocks of scan {scan!r} arrive, but no scan_start of it has" for scan in unknown],
            version=VERSION,
            model=self._scorer.name,
            source=self._source,
            provider=self._scorer.provider,
            instrument=self._link.instrument,
            data_age_s=None if self._heard_s is None else now_s - self._heard_s,
            rate_spectra_per_s=sum(pixels for _, pixels in self._arrivals) / RATE_WINDOW_S,
            fdr=self.archive.rule.fdr,
            false_flags=self.archive.rule.false_flags,
            wire_errors=views.WireErrorCounts(
                total=self.session.wire_errors.total(), kinds=dict(self.session.wire_errors)
            ),
            stray=self.session.stray,
            rows_waiting=sum(scan.lag_rows for scan in self.session.active),
            messages_waiting=self._vitals.messages_waiting,
            resends=self._vitals.resends,
            disk_free_bytes=self._vitals.disk_free_bytes,
        )

    def scans(self) -> list[views.ScanView]:
        """See LiveView."""
        fresh = {scan.id: scan.view() for scan in self.session.active}
        return [fresh.get(scan, view) for scan, view in self.archive.views.items()]

    def rescans(self) -> list[views.RescanView]:
        """See LiveView; newest first, no more than anybody reads."""
        return self.desk.requests[:RESCANS_SHOWN]

    def map_rows(self, scan: str, since: int) -> MapRows | None:
        """See LiveView."""
        found = self.session.find(scan)
        if found is None:
            return None
        rows = np.flatnonzero(found.row_version > since)
        maps = found.maps
        layers = {
            "score": maps.score,
            "p_value": maps.p_value,
            "total": found.assembly.total,
            "energy_ev": maps.energy_ev,
            "label": maps.label,
        }
        return MapRows(
            version=int(found.row_version.max()),
            shape=found.started.shape,
            rows=rows,
            layers={name: layer[rows].astype(np.float32) for name, layer in layers.items()},
            drift_ev=maps.drift_ev[rows],
            provisional=found.provisional[rows],
            p_threshold=found.flags.thresholds().copy(),
        )

    def regions(self, scan: str) -> list[views.RegionView]:
        """See LiveView."""
        found = self.session.find(scan)
        return [] if found is None else self._inspector.regions(found)

    def pixel(self, scan: Scan, row: int, column: int) -> views.PixelView:
        """One pixel's spectrum against expectation; raises IndexError outside the scan."""
        return self._inspector.pixel(scan, row, column)

    async def send_waiting(self) -> None:
        """Send approved requests to the instrument at once, where one is there."""
        await self._link.send_waiting()

    def set_rule(self, rule: FlagRule) -> None:
        """Flag by another rule: open scans, the newest with its rescans, and all scans to come."""
        self.archive.rule = rule
        newest = next((scan for scan, view in self.archive.views.items() if view.parent is None), None)
        shown = {scan for scan, view in self.archive.views.items() if newest is not None and _of(view, newest)}
        for scan in [
            *self.session.active,
            *(found for s in shown if (found := self.session.find(s)) and not found.open),
        ]:
            scan.flags.change(rule)
            if scan.open:
                self.archive.save(scan)  # the rule outlives a restart
            else:
                self.archive.save_flags(scan)
        self._version.bump()

    def _forget_old(self, now_s: float) -> None:
        while self._arrivals and self._arrivals[0][0] < now_s - RATE_WINDOW_S:
            self._arrivals.popleft()


def _of(view: views.ScanView, scan: str) -> bool:
    return view.scan == scan or (view.parent is not None and view.parent.scan == scan)
