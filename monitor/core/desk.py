"""The rescan desk: flagged regions become proposals, decisions become requests, the instrument's word moves them on.

Pure: `save` keeps a request, `now_ns` is Unix time (requests outlive the process), sending is the link's task.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from monitor.core.axes import Region
from monitor.core.errors import RescanError
from monitor.core.regions import FlaggedRegion
from monitor.core.rescan_wire import Status
from monitor.core.rescans import RescanBook
from monitor.core.scan import Scan
from monitor.core.version import Version
from monitor.core.views import Reason, RescanView, Step

NEIGHBOURHOOD = 3
"""Rows around a region that must be scored before it may count as whole (see `regions.NEIGHBOURS`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RescanPolicy:
    """How proposals are made. `margin_pixels` around a region give its pixels their neighbourhood in the child scan."""

    dwell_factor: float = 4.0
    margin_pixels: int = 4
    expiry_s: float = 1800.0
    proposals_per_scan: int = 32
    auto_approve: bool = False


class RescanDesk:
    """Everything that may happen to a rescan request."""

    def __init__(
        self, *, policy: RescanPolicy, requests: list[RescanView], save: Callable[[RescanView], None], version: Version
    ) -> None:
        self._policy = policy
        self._book = RescanBook(requests)
        self._save = save
        self._version = version

    @property
    def requests(self) -> list[RescanView]:
        """Every request, newest first."""
        return list(reversed(self._book.requests.values()))

    def waiting(self) -> list[RescanView]:
        """Approved requests that the instrument has not been sent yet."""
        return self._book.in_state("approved")

    def unacknowledged(self) -> list[RescanView]:
        """Requests sent, of which the instrument has not said anything."""
        return self._book.in_state("sent")

    def propose_regions(self, scan: Scan, regions: list[FlaggedRegion], *, now_ns: int) -> None:
        """Propose a rescan of each region that is whole and not asked for yet; child scans are not rescanned again."""
        if scan.started.parent is not None:
            return
        asked = sum(request.scan == scan.id for request in self._book.requests.values())
        for region in regions:
            if asked >= self._policy.proposals_per_scan:
                return
            if self._book.overlaps(scan.id, region.region) or not _whole(scan, region.region):
                continue
            asked += 1
            request = self._propose(
                scan,
                region.region.expanded(self._policy.margin_pixels, scan.started.grid),
                dwell_factor=self._policy.dwell_factor,
                reason=Reason(
                    energy_ev=region.energy_ev,
                    energy_span_ev=region.energy_span_ev,
                    label=region.label,
                    score=region.score,
                    p_value=region.p_value,
                ),
                step=Step(
                    state="proposed",
                    t_ns=now_ns,
                    who="monitor",
                    message=f"{region.pixels} pixel{'' if region.pixels == 1 else 's'} flagged",
                ),
            )
            if self._policy.auto_approve:
                self.decide(request.id, "approved", who="auto-approve", now_ns=now_ns)

    def propose_by_hand(self, scan: Scan, region: Region, *, dwell_factor: float, now_ns: int) -> RescanView:
        """Propose what a person has marked; raises RescanError for a region outside the scan."""
        if not scan.started.grid.holds(region):
            raise RescanError(f"region {region.as_list()} lies outside the scan of {scan.started.grid.shape} pixels")
        return self._propose(
            scan,
            region,
            dwell_factor=dwell_factor,
            reason=Reason(energy_ev=None, energy_span_ev=None, label="by hand", score=None, p_value=None),
            step=Step(state="proposed", t_ns=now_ns, who="operator", message="marked by hand"),
        )

    def get(self, rescan_id: str) -> RescanView:
        """One request; raises RescanError where there is none."""
        return self._book.get(rescan_id)

    def decide(self, rescan_id: str, state: str, *, who: str, now_ns: int) -> RescanView:
        """Approve or deny a proposal; raises RescanError where it is none (any more)."""
        self.expire(now_ns)
        return self._moved(self._book.move(rescan_id, Step(state=state, t_ns=now_ns, who=who, message="")))

    def sent(self, rescan_id: str, *, client: str, now_ns: int) -> None:
        """The request is on its way to `client`."""
        step = Step(state="sent", t_ns=now_ns, who="monitor", message=f"to {client}")
        self._moved(self._book.move(rescan_id, step))

    def report(self, status: Status, *, now_ns: int) -> None:
        """The instrument's word; the same word twice changes nothing. Raises RescanError where it makes no sense."""
        known = self._book.get(status.id)
        if known.state == status.state:
            if status.scan is not None and known.child_scan is None:
                self._moved(self._book.tie(status.id, status.scan))
            return
        step = Step(state=status.state, t_ns=now_ns, who="instrument", message=status.message or "")
        self._moved(self._book.move(status.id, step, child_scan=status.scan))

    def child_started(self, child: Scan) -> None:
        """Tie a child scan to the request that its parent field names."""
        parent = child.started.parent
        request = self._book.requests.get(parent.rescan) if parent is not None and parent.rescan is not None else None
        if request is not None and request.child_scan is None:
            self._moved(self._book.tie(request.id, child.id))

    def expire(self, now_ns: int) -> None:
        """Let go of what nobody acted on in time."""
        for request in self._book.expire(now_ns):
            self._moved(request)

    def _propose(self, scan: Scan, region: Region, *, dwell_factor: float, reason: Reason, step: Step) -> RescanView:
        return self._moved(
            self._book.propose(
                rescan_id=uuid.uuid4().hex,
                scan=scan.id,
                region=region,
                dwell_factor=dwell_factor,
                reason=reason,
                expires_ns=step.t_ns + int(self._policy.expiry_s * 1e9),
                step=step,
            )
        )

    def _moved(self, request: RescanView) -> RescanView:
        self._save(request)
        self._version.bump()
        return request


def _whole(scan: Scan, region: Region) -> bool:
    rows = region.expanded(NEIGHBOURHOOD, scan.started.grid).slices[0]
    return not scan.open or bool(np.isfinite(scan.maps.score[rows]).all())
