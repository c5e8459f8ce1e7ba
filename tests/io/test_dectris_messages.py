"""Stream V2 messages: what a detector sends is read, and whatever else arrives is one error that names it."""

import struct

import cbor2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.core.axes import Region
from monitor.core.errors import WireError
from monitor.io.dectris_message import SeriesEnd, SeriesImage, SeriesStart, decode
from tests import dectris

SOME = (np.arange(7 * 21) * 37 % 101).reshape(7, 21)
"""147 pixels: two blocks of 64, one of 16, three left over."""

# made by the bitshuffle library (0.5.2, blocks of 64 elements) and imagecodecs' lz4h5 (blocks of 100 bytes) from SOME
BY_BITSHUFFLE = {
    "|u1": "00000000000000930000004000000042f031926c9b24db24d9361c8fe3381cc7e138726367e4c4dcd8099c738438e718e1cee083"
    "073ff8e0010f92909ce4242427392425294949494a52000000000000000000000042f031c9b649b24d926d930ec7713c8ee3711c"
    "39b13772426eec8c31c6b9438c738e103ef8c1830f7cf0e00949484e421292935292929494a42425000000000000000000000012"
    "f001649b87e39c98e71c071f9c84292900004c0c31",
    "<u2": "00000000000001260000008000000044ff2a926c9b24db24d9361c8fe3381cc7e138726367e4c4dcd8099c738438e718e1cee083"
    "073ff8e0010f92909ce4242427392425294949494a520001002f50000000000000000044ff2ac9b649b24d926d930ec7713c8ee3"
    "711c39b13772426eec8c31c6b9438c738e103ef8c1830f7cf0e00949484e421292935292929494a424250001002f500000000000"
    "00000019f800649b87e39c98e71c071f9c8429290001005000000000004c000c003100",
    "<u4": "000000000000024c0000010000000044ff2a926c9b24db24d9361c8fe3381cc7e138726367e4c4dcd8099c738438e718e1cee083"
    "073ff8e0010f92909ce4242427392425294949494a52000100af50000000000000000044ff2ac9b649b24d926d930ec7713c8ee3"
    "711c39b13772426eec8c31c6b9438c738e103ef8c1830f7cf0e00949484e421292935292929494a42425000100af500000000000"
    "0000001aff00649b87e39c98e71c071f9c842929000100195000000000004c0000000c00000031000000",
}
ZEROS_BY_LZ4 = (
    "0000000000000126000000640000000b1f0001004b5000000000000000000b1f0001004b5000000000000000000b1f00010045500000000000"
)


def packed(algorithm, element, data):
    return lambda _: cbor2.CBORTag(56500, [algorithm, element, data])


def read(message, region=None):
    return decode(message).array.read(region)


# what a detector sends


def test_start_and_end_tell_of_their_series():
    assert decode(dectris.start(4096, series=3, unique_id="u")) == SeriesStart(series=3, unique_id="u", images=4096)
    assert decode(dectris.end(series=3, unique_id="u")) == SeriesEnd(series=3, unique_id="u")


@pytest.mark.parametrize("dtype", [d for d in dectris.TYPED_ARRAY if d[1:] not in ("u8", "i8")])
def test_an_image_of_every_type_is_read(dtype):
    message = dectris.image(SOME.astype(dtype), 5)
    found = decode(message)
    assert isinstance(found, SeriesImage)
    assert (found.series, found.number, found.array.shape) == (7, 5, (7, 21))
    assert np.array_equal(read(message), SOME)


@pytest.mark.parametrize("dtype", BY_BITSHUFFLE)
def test_what_the_bitshuffle_library_packed_is_unpacked(dtype):
    pack = packed("bslz4", np.dtype(dtype).itemsize, bytes.fromhex(BY_BITSHUFFLE[dtype]))
    assert np.array_equal(read(dectris.image(SOME.astype(dtype), 0, pack=pack)), SOME)


def test_what_an_lz4_filter_packed_is_unpacked():
    pack = packed("lz4", 0, bytes.fromhex(ZEROS_BY_LZ4))
    assert not read(dectris.image(SOME.astype("<u2"), 0, pack=pack)).any()


@given(
    pixels=st.sampled_from(["|u1", "<u2", ">u2", "<u4", "<i4"]).flatmap(
        lambda dtype: arrays(dtype, st.tuples(st.integers(1, 9), st.integers(1, 40)))
    ),
    pack=st.sampled_from([None, dectris.bslz4, dectris.lz4_framed]),
    data=st.data(),
)
@settings(deadline=None, max_examples=100)
def test_any_region_of_any_image_is_the_one_that_was_sent(pixels, pack, data):
    row0, col0 = (data.draw(st.integers(0, n - 1)) for n in pixels.shape)
    row1, col1 = (data.draw(st.integers(a + 1, n)) for a, n in zip((row0, col0), pixels.shape, strict=True))
    message = dectris.image(pixels, 0, pack=pack)
    region = Region(row0=row0, col0=col0, row1=row1, col1=col1)
    assert np.array_equal(read(message, region), pixels[row0:row1, col0:col1])
    assert np.array_equal(read(message), pixels)


def test_the_first_of_several_channels_is_taken_and_the_others_are_not_looked_into():
    message = cbor2.loads(dectris.image(SOME.astype("<u2"), 0))
    message["data"]["threshold_2"] = cbor2.CBORTag(40, "nonsense")
    assert np.array_equal(read(cbor2.dumps(message)), SOME)


# what else may arrive

IMAGE = SOME.astype("<u2")
BITSHUFFLED = bytes.fromhex(BY_BITSHUFFLE["<u2"])


def bent(kind="image", **changes):
    """A good message with some fields changed, or left out where `...` is given."""
    good = {"start": dectris.start(12), "image": dectris.image(IMAGE, 0), "end": dectris.end()}[kind]
    return cbor2.dumps({name: v for name, v in (cbor2.loads(good) | changes).items() if v is not ...})


def with_array(dimensions, typed):
    return bent(data={"threshold_1": cbor2.CBORTag(40, [dimensions, typed])})


def with_packed(algorithm, element, data):
    return dectris.image(IMAGE, 0, pack=packed(algorithm, element, data))


HOSTILE = {
    "nothing": ("cbor", b""),
    "a message cut off": ("cbor", dectris.image(IMAGE, 0)[:-7]),
    "legacy JSON": ("cbor", b'{"htype": "dheader-1.0", "series": 1}'),
    "no map": ("cbor", cbor2.dumps([1, 2])),
    "keys that are no text": ("cbor", cbor2.dumps({1: 2, "type": "end"})),
    "nesting without end": ("cbor", b"\x81" * 100_000),
    "an array of 2^62 items": ("cbor", b"\x9b\x40" + bytes(7)),
    "bytes of 2^62": ("cbor", b"\x5b\x40" + bytes(7)),
    "an unknown type": ("type", bent(type="calibration")),
    "no type": ("type", bent(type=...)),
    "no series": ("keys", bent(series_id=...)),
    "true for a series": ("keys", bent(series_id=True)),
    "a negative series": ("keys", bent("end", series_id=-1)),
    "no unique id": ("keys", bent(series_unique_id=...)),
    "an empty unique id": ("keys", bent("start", series_unique_id="")),
    "a unique id too long": ("keys", bent(series_unique_id="x" * 129)),
    "a unique id that cannot be printed": ("keys", bent(series_unique_id="a\nb")),
    "a start without a number of images": ("keys", bent("start", number_of_images=...)),
    "an image without a number": ("keys", bent(image_id=...)),
    "a fraction for an image's number": ("keys", bent(image_id=1.5)),
    "an image without data": ("keys", bent(data=...)),
    "an image of no channels": ("keys", bent(data={})),
    "data that are no array": ("dtype", bent(data={"threshold_1": b"123"})),
    "a column-major array": ("dtype", bent(data={"threshold_1": cbor2.CBORTag(1040, [[1, 1], b"1"])})),
    "an array without its parts": ("dtype", bent(data={"threshold_1": cbor2.CBORTag(40, 3)})),
    "one dimension": ("shape", with_array([147], cbor2.CBORTag(69, IMAGE.tobytes()))),
    "no rows": ("shape", with_array([0, 21], cbor2.CBORTag(69, b""))),
    "a dimension that is no number": ("shape", with_array([7, "21"], cbor2.CBORTag(69, IMAGE.tobytes()))),
    "integers of 64 bits": ("dtype", dectris.image(SOME.astype("<u8"), 0)),
    "floats of 128 bits": ("dtype", with_array([1, 1], cbor2.CBORTag(87, bytes(16)))),
    "a plain list of numbers": ("dtype", with_array([1, 2], [1, 2])),
    "text for bytes": ("dtype", with_array([1, 2], cbor2.CBORTag(64, "ab"))),
    "an unknown tag for bytes": ("dtype", with_array([1, 2], cbor2.CBORTag(64, cbor2.CBORTag(56501, b"ab")))),
    "an image without end": ("limits", with_array([2**40, 2**40], cbor2.CBORTag(64, b"ab"))),
    "pixels cut off": ("payload", with_array([7, 21], cbor2.CBORTag(69, IMAGE.tobytes()[:-1]))),
    "an unknown compression": ("compression", with_packed("zstd", 2, BITSHUFFLED)),
    "elements of 3 bytes": ("compression", with_packed("bslz4", 3, BITSHUFFLED)),
    "true for an element's size": ("compression", with_packed("bslz4", True, BITSHUFFLED)),
    "compressed text": ("compression", with_packed("bslz4", 2, "text")),
    "compressed data without a header": ("compression", with_packed("bslz4", 2, BITSHUFFLED[:11])),
    "compressed data cut off in a length": ("compression", with_packed("bslz4", 2, BITSHUFFLED[:14])),
    "compressed data cut off in a block": ("compression", with_packed("bslz4", 2, BITSHUFFLED[:50])),
    "compressed data cut off at the end": ("compression", with_packed("bslz4", 2, BITSHUFFLED[:-1])),
    "compressed data too long": ("compression", with_packed("bslz4", 2, BITSHUFFLED + b"\0")),
    "compressed data of another size": ("compression", with_packed("bslz4", 2, struct.pack(">QI", 2**40, 128))),
    "blocks of no bytes": ("compression", with_packed("bslz4", 2, struct.pack(">QI", 294, 0) + BITSHUFFLED[12:])),
    "blocks of half elements": ("compression", with_packed("bslz4", 2, struct.pack(">QI", 294, 9) + BITSHUFFLED[12:])),
    "a block too short": ("compression", with_packed("bslz4", 2, struct.pack(">QII", 294, 288, 1) + bytes(7))),
    "a block that is no LZ4": ("compression", with_packed("bslz4", 2, BITSHUFFLED[:16] + b"\xff" * 500)),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_message_that_is_wrong_is_one_error_of_its_kind_on_one_line(kind, message):
    with pytest.raises(WireError) as refused:
        read(message)
    assert refused.value.kind == kind
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_an_error_in_an_image_names_its_scan():
    with pytest.raises(WireError) as refused:
        decode(dectris.image(SOME.astype("<u8"), 0, unique_id="u"))
    assert refused.value.scan == "u"


def test_a_region_outside_the_image_says_so():
    with pytest.raises(WireError, match=r"image of 7 x 21 pixels, --detector-region asks for \[0, 0, 8, 21\]"):
        read(dectris.image(IMAGE, 0), Region(row0=0, col0=0, row1=8, col1=21))


def outcome(message):
    try:
        found = decode(message)
        return found.array.read(None) if isinstance(found, SeriesImage) else found
    except WireError as refused:
        return refused


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(message):
    assert outcome(message) is not None


@given(
    st.sampled_from([None, dectris.bslz4, dectris.lz4_framed]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    st.integers(0, 10_000),
)
@settings(deadline=None, max_examples=300)
def test_a_good_message_bent_anywhere_is_a_message_or_an_error(pack, changes, length):
    message = bytearray(dectris.image(IMAGE, 0, pack=pack))
    for at, value in changes:
        message[at % len(message)] = value
    assert outcome(bytes(message[: max(length % (2 * len(message)), 1)])) is not None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text() | st.binary(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            | st.builds(cbor2.CBORTag, st.sampled_from([40, 64, 69, 70, 1040, 56500]), inner)
        ),
        max_leaves=10,
    )
)
@settings(deadline=None, max_examples=300)
def test_any_items_for_image_data_are_an_array_or_an_error(item):
    for data in (item, {"threshold_1": item}, {"threshold_1": cbor2.CBORTag(40, [[1, 1], item])}):
        assert outcome(cbor2.dumps(cbor2.loads(dectris.image(IMAGE, 0)) | {"data": data})) is not None
