"""Reads a model file's own bytes: the graph inside an ONNX file, found without the onnx package.

An ONNX file is one protobuf message, ModelProto; its field 7 is the graph. The SHA-256 of that field's bytes names the
graph whatever the metadata around it says. (onnx.proto3; protobuf encoding, https://protobuf.dev/programming-guides/encoding/)
"""

from __future__ import annotations

import hashlib

from monitor.core.errors import ModelError

GRAPH_FIELD = 7
METADATA_FIELD = 14
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def graph_sha256(model: bytes) -> str:
    """SHA-256, in hexadecimal, of the serialised graph in a model file's bytes. Raises ModelError where it has none."""
    return hashlib.sha256(graph_bytes(model)).hexdigest()


def graph_bytes(model: bytes) -> memoryview:
    """The serialised GraphProto in a model file's bytes. Raises ModelError where there is not exactly one."""
    view = memoryview(model)
    found: list[memoryview] = []
    at = 0
    while at < len(view):
        tag, at = _varint(view, at)
        field, wire = tag >> 3, tag & 7
        start = at
        if wire == _VARINT:
            _, at = _varint(view, at)
        elif wire == _LENGTH:
            size, start = _varint(view, at)
            at = start + size
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        else:
            raise ModelError("this is no ONNX model (not a protobuf message); give a file made with 'eelswatch export'")
        if at > len(view):
            raise ModelError("this ONNX model is cut off; copy the file again")
        if field == GRAPH_FIELD and wire == _LENGTH:
            found.append(view[start:at])
    if len(found) != 1:
        raise ModelError(
            f"this ONNX model holds {len(found)} graphs; wanted one: give a file made with 'eelswatch export'"
        )
    return found[0]


def metadata_entry(key: str, value: str) -> bytes:
    """The bytes of one metadata property; appended to a model file they add it (protobuf messages concatenate)."""
    entry = b"".join(_field(number, text.encode()) for number, text in ((1, key), (2, value)))
    return _field(METADATA_FIELD, entry)


def _field(number: int, content: bytes) -> bytes:
    return _encoded(number << 3 | _LENGTH) + _encoded(len(content)) + content


def _encoded(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """The number that starts at `at`, and where the next byte is."""
    number, shift = 0, 0
    while at < len(view) and shift < 64:
        byte = view[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
    raise ModelError("this ONNX model is cut off or no model at all; copy the file again")
