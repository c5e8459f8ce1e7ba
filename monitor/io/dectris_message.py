"""Bytes -> messages of DECTRIS Stream V2: start, image and end of a series, one CBOR map each.

Specification: https://github.com/dectris/documentation/tree/main/stream_v2
Law: whatever arrives, the outcome is one message or one WireError that names the fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cbor2

from monitor.core.errors import WireError
from monitor.core.messages import MAX_SCAN_ID
from monitor.io.dectris_array import ImageArray, read_array

MAX_DEPTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesStart:
    """The detector is armed: `images` will come."""

    series: int
    unique_id: str
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesImage:
    """One exposure, the first channel (threshold) of it."""

    series: int
    unique_id: str
    number: int
    array: ImageArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesEnd:
    """The detector is disarmed."""

    series: int
    unique_id: str


def decode(message: bytes) -> SeriesStart | SeriesImage | SeriesEnd:
    """Decode one message; raises WireError. An image's pixels stay as they are: `ImageArray.read` unpacks them."""
    try:
        fields = cbor2.loads(message, max_depth=MAX_DEPTH, strict_hashable_types=True)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as fault:
        raise WireError("cbor", f"message of {len(message)} bytes is no CBOR ({str(fault)[:80]})") from fault
    if not isinstance(fields, dict):
        raise WireError("cbor", f"message is {type(fields).__name__}, wanted a map as Stream V2 has it")
    kind = fields.get("type")
    if kind not in ("start", "image", "end"):
        raise WireError("type", f"type {str(kind)[:40]!r}, wanted start, image or end; set the stream's format to cbor")
    unique_id = _unique_id(fields)
    series = _count(fields, "series_id", unique_id)
    if kind == "start":
        return SeriesStart(series=series, unique_id=unique_id, images=_count(fields, "number_of_images", unique_id))
    if kind == "end":
        return SeriesEnd(series=series, unique_id=unique_id)
    number, channels = _count(fields, "image_id", unique_id), fields.get("data")
    if not isinstance(channels, dict) or not channels:
        raise WireError("keys", "image has no data, wanted a map of channels to arrays", scan=unique_id)
    try:
        array = read_array(next(iter(channels.values())))
    except WireError as fault:
        raise WireError(fault.kind, str(fault), scan=unique_id) from None
    return SeriesImage(series=series, unique_id=unique_id, number=number, array=array)


def _unique_id(fields: dict[Any, Any]) -> str:
    value = fields.get("series_unique_id")
    if not (isinstance(value, str) and 0 < len(value) <= MAX_SCAN_ID and value.isprintable()):
        raise WireError("keys", f"series_unique_id {str(value)[:40]!r}, wanted 1 to {MAX_SCAN_ID} printable characters")
    return value


def _count(fields: dict[Any, Any], name: str, scan: str) -> int:
    value = fields.get(name)
    if type(value) is not int or value < 0:
        raise WireError("keys", f"{name} {str(value)[:40]!r}, wanted a whole number", scan=scan)
    return value
