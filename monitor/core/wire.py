"""Bytes <-> messages: the only place that knows the stream format `eelswatch.stream/1`.

Law: whatever arrives, the outcome is one message or one WireError that names the fault, and no memory is allocated for
a refused message.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.core.errors import WireError
from monitor.core.messages import (
    SCHEMA,
    BlockArrived,
    BlockHeader,
    Message,
    ResendEnded,
    ResendRequest,
    ScanEnded,
    ScanStarted,
    StreamMessage,
)

MAX_HEADER_BYTES = 64 * 1024

Frame = bytes | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The largest scan that is let in."""

    rows: int = 4096
    columns: int = 4096
    channels: int = 16384
    max_scan_gib: float = 32.0


class _Envelope(msgspec.Struct):
    schema: Any = None
    type: Any = None
    scan: Any = None


_HEADERS: dict[str, type[Message]] = {
    "scan_start": ScanStarted,
    "block": BlockHeader,
    "scan_end": ScanEnded,
    "resend": ResendRequest,
    "resend_end": ResendEnded,
}
_ON_STREAM = ("scan_start", "block", "scan_end")


def decode(frames: Sequence[Frame], limits: Limits) -> StreamMessage:
    """Decode one multipart message of the stream.

    Raises WireError. A block's counts stay raw: `read_counts` checks them against the layout of their scan.
    """
    header = _decode_header(frames, _ON_STREAM)
    payloads = len(frames) - 1
    if isinstance(header, BlockHeader):
        if payloads != 1:
            raise WireError(
                "frames", f"a block has a header and one payload, got {payloads} payloads", scan=header.scan
            )
        return BlockArrived(header=header, payload=frames[1])
    if payloads:
        raise WireError("frames", f"a header without payload was due, got {payloads} more frames", scan=header.scan)
    if isinstance(header, ScanStarted):
        _check_start(header, limits)
        return header
    assert isinstance(header, ScanEnded)
    if header.blocks != header.seq - 1:
        raise WireError(
            "count",
            f"scan_end has blocks {header.blocks} and seq {header.seq}; blocks must be seq - 1",
            scan=header.scan,
        )
    return header


def decode_resend_end(frames: Sequence[Frame]) -> ResendEnded | None:
    """The end of a resend answer, or None where the frames are something else."""
    if len(frames) != 1 or b"resend_end" not in bytes(frames[0][:MAX_HEADER_BYTES]):
        return None
    try:
        header = _decode_header(frames, ("resend_end",))
    except WireError:
        return None
    return header if isinstance(header, ResendEnded) else None


def decode_resend_request(frames: Sequence[Frame]) -> ResendRequest:
    """Decode what a monitor asks of a source; raises WireError."""
    header = _decode_header(frames, ("resend",))
    assert isinstance(header, ResendRequest)
    return header


def encode(message: Message, payload: Frame | None = None) -> list[Frame]:
    """Encode one message to its frames."""
    header = msgspec.json.encode(message)
    return [header] if payload is None else [header, payload]


def read_counts(block: BlockArrived, started: ScanStarted) -> NDArray[Any]:
    """View the payload as counts [rows, columns, energy]; raises WireError where it does not fit its scan."""
    header, region = block.header, block.header.region
    if not started.grid.holds(region):
        raise WireError(
            "bounds",
            f"block {region.as_list()} lies outside the scan of {started.grid.rows} x {started.grid.columns} pixels",
            scan=header.scan,
        )
    dtype = np.dtype(started.dtype)
    wanted = math.prod(header.shape) * started.energy.size * dtype.itemsize
    got = memoryview(block.payload).nbytes
    if got != wanted:
        raise WireError(
            "payload",
            f"payload has {got} bytes, {header.shape} pixels x {started.energy.size} x {started.dtype} want {wanted}",
            scan=header.scan,
        )
    counts = np.frombuffer(block.payload, dtype).reshape(*header.shape, started.energy.size)
    if dtype.kind == "f" and not np.isfinite(counts).all():
        raise WireError("not_finite", "payload holds NaN or infinite counts; leave such pixels out", scan=header.scan)
    return counts


def _decode_header(frames: Sequence[Frame], allowed: Sequence[str]) -> Message:
    if not frames:
        raise WireError("frames", "an empty message; a JSON header was due")
    raw = frames[0]
    if len(raw) > MAX_HEADER_BYTES:
        raise WireError("header_size", f"header of {len(raw)} bytes, at most {MAX_HEADER_BYTES} are read")
    scan: str | None = None
    try:
        str(raw, "utf-8")  # the decoder does not look into strings that it skips
        envelope = msgspec.json.decode(raw, type=_Envelope)
        scan = envelope.scan if isinstance(envelope.scan, str) else None
        if envelope.schema != SCHEMA:
            raise WireError("schema", f"schema {_short(envelope.schema)}, wanted {SCHEMA!r}", scan=scan)
        if not isinstance(envelope.type, str) or envelope.type not in allowed:
            raise WireError("type", f"type {_short(envelope.type)}, wanted one of {', '.join(allowed)}", scan=scan)
        header = msgspec.json.decode(raw, type=_HEADERS[envelope.type])
    except msgspec.ValidationError as fault:
        raise WireError("keys", f"header refused: {fault}", scan=scan) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise WireError("json", f"header is no JSON object: {fault}", scan=scan) from None
    if not header.scan.isprintable():
        raise WireError("keys", "scan id holds characters that cannot be printed", scan=scan)
    return header


def _check_start(start: ScanStarted, limits: Limits) -> None:
    (rows, columns), energy = start.shape, start.energy
    if energy.size < 1 or energy.step_ev == 0 or not math.isfinite(energy.hi_ev - energy.lo_ev):
        raise WireError("keys", f"energy has size {energy.size} and step {energy.step_ev} eV", scan=start.scan)
    if start.parent is not None:
        row0, col0, row1, col1 = start.parent.region
        if not (row0 < row1 and col0 < col1):
            raise WireError("keys", f"parent region {list(start.parent.region)} is empty", scan=start.scan)
    if rows > limits.rows or columns > limits.columns or energy.size > limits.channels:
        raise WireError(
            "limits",
            f"scan of {rows} x {columns} x {energy.size} exceeds {limits.rows} x {limits.columns} x {limits.channels}",
            scan=start.scan,
        )
    gib = rows * columns * energy.size * np.dtype(start.dtype).itemsize / 2**30
    if gib > limits.max_scan_gib:
        raise WireError(
            "limits", f"scan of {gib:.1f} GiB exceeds max_scan_gib {limits.max_scan_gib:g}", scan=start.scan
        )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
