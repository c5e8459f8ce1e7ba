"""Bytes <-> messages of the rescan link `eelswatch.rescan/1`: JSON, one frame."""

from __future__ import annotations

from typing import Literal

import msgspec

from monitor.core.axes import ScanGrid
from monitor.core.errors import WireError
from monitor.core.views import Reason, RescanView
from monitor.core.wire import MAX_HEADER_BYTES

SCHEMA = "eelswatch.rescan/1"


class LinkMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every message of the link has."""

    schema: Literal["eelswatch.rescan/1"] = SCHEMA


class _Schema(msgspec.Struct):
    """The schema is not to be left out, whatever default a message of ours is made with."""

    schema: Literal["eelswatch.rescan/1"]


class Hello(LinkMessage, frozen=True, kw_only=True, tag="hello"):
    """An instrument is there and takes requests from now on."""

    client: str


class Ping(LinkMessage, frozen=True, kw_only=True, tag="ping"):
    """An instrument is still there."""


class Pong(LinkMessage, frozen=True, kw_only=True, tag="pong"):
    """The monitor is still there."""


class Status(LinkMessage, frozen=True, kw_only=True, tag="status"):
    """How far a request has come; `scan` is the child scan's id once it runs."""

    id: str
    state: Literal["accepted", "refused", "running", "done", "failed"]
    scan: str | None = None
    message: str | None = None


class Rescan(LinkMessage, frozen=True, kw_only=True, tag="rescan"):
    """A request to look again: `region` [row0, col0, row1, col1] of a scan of `scan_shape` pixels."""

    id: str
    scan: str
    region: tuple[int, int, int, int]
    scan_shape: tuple[int, int]
    dwell_factor: float
    reason: Reason
    expires_ns: int


def encode(message: LinkMessage) -> bytes:
    """One frame."""
    return msgspec.json.encode(message)


def rescan_message(request: RescanView, grid: ScanGrid) -> Rescan:
    """The message that asks an instrument to carry out `request` on a scan of `grid`."""
    return Rescan(
        id=request.id,
        scan=request.scan,
        region=request.region,
        scan_shape=grid.shape,
        dwell_factor=request.dwell_factor,
        reason=request.reason,
        expires_ns=request.expires_ns,
    )


def decode_from_instrument(frame: bytes) -> Hello | Ping | Status:
    """What an instrument says; raises WireError where it is not of the link."""
    if len(frame) > MAX_HEADER_BYTES:
        raise WireError("header_size", f"message of {len(frame)} bytes, at most {MAX_HEADER_BYTES} are read")
    try:
        str(frame, "utf-8")
        msgspec.json.decode(frame, type=_Schema)
        return msgspec.json.decode(frame, type=Hello | Ping | Status)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise WireError("link", f"message on the rescan link refused: {fault}") from None


def decode_from_monitor(frame: bytes) -> Rescan | Pong:
    """What a monitor says, for instruments; raises WireError where it is not of the link."""
    try:
        return msgspec.json.decode(frame, type=Rescan | Pong)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise WireError("link", f"message on the rescan link refused: {fault}") from None
