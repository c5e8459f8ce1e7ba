"""What a page gets next: the live state and what the page already has -> the bytes of its next message.

Pure: no clock, no socket. Law: latest wins. Nothing is queued for a page; one that fell behind is told only what is
true now, and everything since its last message comes in one step.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.core.frame import encode_frame
from monitor.core.live_view import LAYERS, LiveView, MapRows
from monitor.core.views import ScanView

HEARTBEAT_NS = 1_000_000_000
CHOOSER_SCANS = 200
LONGEST_WISH = 2048
DRIFT_DIGITS = 4

ScanId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a page asks for: the scan to watch (None: the newest) and a child scan to show beside it."""

    watch: ScanId | None = None
    beside: ScanId | None = None


def read_wish(text: str | None) -> Wish:
    """A page's message. Raises ValueError, whose text is the reason, where it is not one."""
    wanted = 'wanted JSON text such as {"watch": null, "beside": null}'
    if text is None:
        raise ValueError(f"got a binary message; {wanted}")
    if len(text) > LONGEST_WISH:
        raise ValueError(f"got {len(text)} characters, at most {LONGEST_WISH} are read")
    try:
        return msgspec.json.decode(text, type=Wish)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as fault:
        # A websocket close reason holds 123 bytes: the wanted form is worth more than the parser's words.
        raise ValueError(wanted) from fault


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSeen:
    """The map a page holds in one role: rows up to `version` of `scan`, flagged at `p_threshold` (bytes: all rows')."""

    scan: str
    version: int
    p_threshold: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one page already has; the whole memory the server keeps of it."""

    version: int | None = None
    sent_ns: int = 0
    wish: Wish = field(default_factory=Wish)
    maps: dict[str, MapSeen] = field(default_factory=dict)
    parts: dict[str, bytes] = field(default_factory=dict)


def next_message(live: LiveView, *, wish: Wish, seen: Seen, now_ns: int) -> tuple[bytes | None, Seen]:
    """The next frame for a page (None: nothing to say yet) and what the page has once it got it."""
    version = live.version()
    unchanged = version == seen.version and wish == seen.wish
    if unchanged and now_ns - seen.sent_ns < HEARTBEAT_NS:
        return None, seen
    header: dict[str, object] = {"now_ns": now_ns, "version": version, "health": live.health(), "maps": []}
    if unchanged:
        return encode_frame(header, []), replace(seen, sent_ns=now_ns)

    scans = live.scans()
    watched = find_scan(scans, wish.watch) if wish.watch is not None else newest(scans)
    beside = find_scan(scans, wish.beside)
    parts = _parts(live, scans=scans, watched=watched, beside=beside)
    header.update({name: msgspec.Raw(text) for name, text in parts.items() if seen.parts.get(name) != text})

    maps: dict[str, MapSeen] = {}
    entries: list[dict[str, object]] = []
    arrays: list[NDArray[np.float32]] = []
    for role, scan in (("watched", watched), ("beside", beside)):
        had = seen.maps.get(role)
        had = had if had is not None and scan is not None and had.scan == scan.scan else None
        changed = live.map_rows(scan.scan, had.version if had is not None else -1) if scan is not None else None
        if scan is None or changed is None:
            continue
        maps[role] = MapSeen(scan=scan.scan, version=changed.version, p_threshold=changed.p_threshold.tobytes())
        if had is None or changed.rows.size or maps[role].p_threshold != had.p_threshold:
            entries.append(_entry(role, scan.scan, changed, whole=had is None))
            arrays.extend(changed.layers[name] for name in LAYERS)
    header["maps"] = entries
    now_seen = Seen(version=version, sent_ns=now_ns, wish=wish, maps=maps, parts=parts)
    return encode_frame(header, arrays), now_seen


def find_scan(scans: list[ScanView], scan: str | None) -> ScanView | None:
    """The scan of that id, None where it is not known (any more)."""
    return next((each for each in scans if each.scan == scan), None)


def newest(scans: list[ScanView]) -> ScanView | None:
    """The newest scan that is nobody's child: a rescan shall not pull the page away from the scan it belongs to."""
    known = {scan.scan for scan in scans}
    own = (scan for scan in scans if scan.parent is None or scan.parent.scan not in known)
    return next(own, scans[0] if scans else None)


def _parts(
    live: LiveView, *, scans: list[ScanView], watched: ScanView | None, beside: ScanView | None
) -> dict[str, bytes]:
    """The pieces of the header that are sent only when they change, as JSON."""
    chooser = [
        {
            "scan": scan.scan,
            "title": scan.title,
            "state": scan.state,
            "parent": scan.parent.scan if scan.parent is not None else None,
        }
        for scan in scans[:CHOOSER_SCANS]
    ]
    parts: dict[str, object] = {
        "scans": chooser,
        "watched": watched,
        "beside": beside,
        "regions": live.regions(watched.scan) if watched is not None else [],
        "rescans": live.rescans(),
    }
    return {name: msgspec.json.encode(part) for name, part in parts.items()}


def _entry(role: str, scan: str, changed: MapRows, *, whole: bool) -> dict[str, object]:
    return {
        "role": role,
        "scan": scan,
        "whole": whole,
        "shape": changed.shape,
        "rows": changed.rows.tolist(),
        "layers": LAYERS,
        "drift_ev": changed.drift_ev.round(DRIFT_DIGITS).tolist(),
        "provisional": changed.provisional.tolist(),
        "p_threshold": changed.p_threshold.tolist(),
    }
