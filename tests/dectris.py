"""DECTRIS Stream V2 messages for tests, written from its public specification and RFC 8746 with cbor2's tags alone."""

import struct

import cbor2
import lz4.block
import numpy as np

TYPED_ARRAY = {
    "|u1": 64, ">u2": 65, ">u4": 66, ">u8": 67, "<u2": 69, "<u4": 70, "<u8": 71, "|i1": 72, ">i2": 73, ">i4": 74,
    "<i2": 77, "<i4": 78, ">f2": 80, ">f4": 81, ">f8": 82, "<f2": 84, "<f4": 85, "<f8": 86,
}  # fmt: skip


def start(images, series=7, unique_id="01HBV3JPF9T4ZDPADX7EMK6XMZ", **more):
    fields = {"type": "start", "number_of_images": images, "series_id": series, "series_unique_id": unique_id}
    fields |= {"arm_date": cbor2.CBORTag(0, "2026-01-01T00:00:00.000000Z"), "channels": ["threshold_1"]}
    return cbor2.dumps(fields | {"count_time": 0.001, "saturation_value": 65534} | more)


def image(pixels, number, series=7, unique_id="01HBV3JPF9T4ZDPADX7EMK6XMZ", pack=None, **more):
    """One exposure; `pack` turns the bytes of `pixels` into what stands for them: see `bslz4` and `lz4_framed`."""
    content = np.ascontiguousarray(pixels).tobytes()
    typed = cbor2.CBORTag(TYPED_ARRAY[pixels.dtype.str], pack(pixels) if pack is not None else content)
    fields = {"type": "image", "series_id": series, "series_unique_id": unique_id, "image_id": number}
    fields |= {"data": {"threshold_1": cbor2.CBORTag(40, [list(pixels.shape), typed])}}
    fields |= {"real_time": [50_000, 50_000_000], "series_date": cbor2.CBORTag(0, "2026-01-01T00:00:00.000000Z")}
    return cbor2.dumps(fields | more)


def end(series=7, unique_id="01HBV3JPF9T4ZDPADX7EMK6XMZ"):
    return cbor2.dumps({"type": "end", "series_id": series, "series_unique_id": unique_id})


def bslz4(pixels, block=64):
    """Tag 56500 with bitshuffle and LZ4, `block` elements a block, as the bitshuffle filter of HDF5 frames them."""
    flat, size = np.ascontiguousarray(pixels).reshape(-1), pixels.dtype.itemsize
    whole, packed = flat.size - flat.size % 8, b""
    for at in range(0, whole, block):
        elements = flat[at : min(at + block, whole)]
        bits = np.unpackbits(elements.view(np.uint8).reshape(-1, size), axis=1, bitorder="little")
        planes = np.packbits(bits.T, axis=1, bitorder="little").tobytes()
        packed += _with_length(lz4.block.compress(planes, store_size=False))
    packed = struct.pack(">QI", flat.nbytes, block * size) + packed + flat[whole:].tobytes()
    return cbor2.CBORTag(56500, ["bslz4", size, packed])


def lz4_framed(pixels, block=100):
    """Tag 56500 with LZ4, `block` bytes a block, as the LZ4 filter of HDF5 frames them."""
    content, packed = np.ascontiguousarray(pixels).tobytes(), b""
    for at in range(0, len(content), block):
        plain = content[at : at + block]
        smaller = lz4.block.compress(plain, store_size=False)
        packed += _with_length(smaller if len(smaller) < len(plain) else plain)
    return cbor2.CBORTag(56500, ["lz4", 0, struct.pack(">QI", len(content), block) + packed])


def _with_length(block):
    return struct.pack(">I", len(block)) + block
