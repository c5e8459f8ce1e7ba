"""The life of a rescan request: proposed by monitor or person, decided by a person, carried out by the instrument.

proposed -> approved | denied | expired; approved -> sent -> accepted -> running -> done | failed; refused. The clock of
expiry is Unix time, since requests outlive the process.
"""

from __future__ import annotations

import msgspec

from monitor.core.axes import Region
from monitor.core.errors import RescanError
from monitor.core.views import Reason, RescanView, Step

_MOVES: dict[str, frozenset[str]] = {
    "proposed": frozenset({"approved", "denied", "expired"}),
    "approved": frozenset({"sent", "expired"}),
    # an instrument may be quicker to act than to say so: later states may be reached directly
    "sent": frozenset({"accepted", "refused", "running", "done", "failed"}),
    "accepted": frozenset({"running", "done", "failed", "refused"}),
    "running": frozenset({"done", "failed"}),
}
FROM_INSTRUMENT = frozenset({"accepted", "refused", "running", "done", "failed"})


class RescanBook:
    """Every rescan request, by id, oldest first. Nothing here forgets: the caller keeps `requests` on disk."""

    def __init__(self, requests: list[RescanView]) -> None:
        self.requests = {request.id: request for request in requests}

    def propose(
        self,
        *,
        rescan_id: str,
        scan: str,
        region: Region,
        dwell_factor: float,
        reason: Reason,
        expires_ns: int,
        step: Step,
    ) -> RescanView:
        """Note a new request; `step` says who proposed it and when."""
        request = RescanView(
            id=rescan_id,
            scan=scan,
            region=(region.row0, region.col0, region.row1, region.col1),
            state="proposed",
            child_scan=None,
            dwell_factor=dwell_factor,
            reason=reason,
            expires_ns=expires_ns,
            history=[step],
        )
        self.requests[rescan_id] = request
        return request

    def get(self, rescan_id: str) -> RescanView:
        """One request; raises RescanError where there is none."""
        if rescan_id not in self.requests:
            raise RescanError(f"there is no rescan request {rescan_id!r}")
        return self.requests[rescan_id]

    def move(self, rescan_id: str, step: Step, *, child_scan: str | None = None) -> RescanView:
        """Move a request to `step.state`; raises RescanError where its state does not allow it."""
        request = self.get(rescan_id)
        if step.state not in _MOVES.get(request.state, frozenset()):
            raise RescanError(f"rescan {rescan_id} is {request.state}; it cannot become {step.state}")
        moved = msgspec.structs.replace(
            request,
            state=step.state,
            child_scan=child_scan if child_scan is not None else request.child_scan,
            history=[*request.history, step],
        )
        self.requests[rescan_id] = moved
        return moved

    def tie(self, rescan_id: str, child_scan: str) -> RescanView:
        """Note the child scan of a request."""
        tied = msgspec.structs.replace(self.get(rescan_id), child_scan=child_scan)
        self.requests[rescan_id] = tied
        return tied

    def in_state(self, *states: str) -> list[RescanView]:
        """Requests in one of these states, oldest first."""
        return [request for request in self.requests.values() if request.state in states]

    def overlaps(self, scan: str, region: Region) -> bool:
        """True where some request for this scan already looks at a part of `region`."""
        return any(
            request.scan == scan
            and request.region[0] < region.row1
            and region.row0 < request.region[2]
            and request.region[1] < region.col1
            and region.col0 < request.region[3]
            for request in self.requests.values()
        )

    def expire(self, now_ns: int) -> list[RescanView]:
        """Let go of requests that nobody carried out in time; `now_ns` is Unix time."""
        late = [r for r in self.in_state("proposed", "approved") if r.expires_ns <= now_ns]
        step = Step(state="expired", t_ns=now_ns, who="monitor", message="nobody acted in time")
        return [self.move(request.id, step) for request in late]
