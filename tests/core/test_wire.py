"""The codec against its own output, and against bytes that mean nothing."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core import wire
from monitor.core.errors import WireError
from monitor.core.messages import BlockArrived, ResendEnded, ResendRequest, ScanEnded, ScanStarted
from monitor.core.wire import Limits
from tests.session_bench import Bench, undisturbed
from tests.streams import a_map, block, end, rows_of, start


def test_a_scan_start_keeps_everything_it_says():
    parent = {"scan": "before", "region": [1, 2, 3, 4], "rescan": None}
    frames = start(
        dwell_us=100, pixel_nm=[0.1, 0.2], title="film", resend="tcp://a:1", parent=parent, something_new=[1]
    )
    started = wire.decode(frames, Limits())
    assert isinstance(started, ScanStarted)
    assert (started.dwell_us, started.pixel_nm, started.title, started.resend) == (100, (0.1, 0.2), "film", "tcp://a:1")
    assert started.parent is not None
    assert started.parent.region == (1, 2, 3, 4)
    assert wire.decode(wire.encode(started), Limits()) == started


@pytest.mark.parametrize("dtype", ["<u1", "<u2", "<u4", "<i2", "<i4", "<f4"])
def test_a_block_gives_back_its_counts(dtype):
    counts = a_map().astype(dtype)
    started = wire.decode(start(dtype=dtype), Limits())
    arrived = wire.decode(block(counts[1:3, 2:4], (1, 2), 5), Limits())
    assert isinstance(arrived, BlockArrived)
    assert isinstance(started, ScanStarted)
    np.testing.assert_array_equal(wire.read_counts(arrived, started), counts[1:3, 2:4])


def test_a_time_in_the_far_future_is_only_shown():
    ended = wire.decode(end(4, t_ns=10**30), Limits())
    assert isinstance(ended, ScanEnded)
    assert ended.t_ns == 10**30


def test_resend_talk_goes_there_and_back():
    request = ResendRequest(scan="s", ranges=[(3, 5), (9, None)])
    assert wire.decode_resend_request([bytes(f) for f in wire.encode(request)]) == request
    ended = ResendEnded(scan="s", missing=[4])
    assert wire.decode_resend_end(wire.encode(ended)) == ended
    assert wire.decode_resend_end(end(4)) is None


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_any_bytes_are_a_message_or_one_wire_error(frames):
    with pytest.raises(WireError):
        wire.decode(frames, Limits())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["s", "block", 2**63]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def bent(draw):
    """A good message of a scan with its header's keys, its payload or its frames bent."""
    counts = a_map()
    good = draw(st.sampled_from([start(), start("t", (2, 2)), block(counts[1:3], (1, 0), 2), end(3), end(7)]))
    header = json.loads(good[0])
    for key in draw(st.lists(st.sampled_from([*header, "parent", "resend", "more"]), max_size=3)):
        header[key] = draw(JSON)
    for key in draw(st.lists(st.sampled_from(sorted(header)), max_size=1)):
        del header[key]
    frames = [json.dumps(header).encode(errors="surrogatepass"), *good[1:]]
    at = draw(st.integers(0, len(frames) - 1))
    raw = frames[at]
    match draw(st.sampled_from(["whole", "cut", "bit", "longer", "more frames", "fewer frames"])):
        case "cut":
            frames[at] = raw[: draw(st.integers(0, len(raw)))]
        case "bit" if raw:
            place = draw(st.integers(0, len(raw) - 1))
            frames[at] = raw[:place] + bytes([raw[place] ^ 1 << draw(st.integers(0, 7))]) + raw[place + 1 :]
        case "longer":
            frames[at] = raw + draw(st.binary(min_size=1, max_size=20))
        case "more frames":
            frames.append(draw(st.binary(max_size=20)))
        case "fewer frames":
            del frames[at]
    return frames


@settings(max_examples=300, deadline=None)
@given(bent())
def test_a_bent_message_is_a_message_or_one_wire_error(frames):
    try:
        message = wire.decode(frames, Limits())
    except WireError:
        return
    scan = message.header.scan if isinstance(message, BlockArrived) else message.scan
    assert 1 <= len(scan) <= 128
    assert scan.isprintable()
    if isinstance(message, ScanStarted):
        assert wire.decode(wire.encode(message), Limits()) == message


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 7), bent()), max_size=4))
def test_bent_messages_in_a_scan_are_refused_or_taken_for_what_they_say_and_the_rest_is_unharmed(bends):
    """What is accepted of them may be a block of this scan: it may have the pixels it names, and no others."""
    counts = a_map()
    messages = rows_of(counts)
    bench = Bench()
    for at, frames in enumerate(messages):
        bench.feed(frames, *(bad for place, bad in bends if place == at))
    bench.wait(0)
    scan = bench.scan()
    arrays = scan.assembly.arrays
    own = arrays.pixel_seq == np.arange(1, 7)[:, None]
    taken = [message for _, frames in bends if (message := decoded(frames)) is not None]
    for message in taken:
        if isinstance(message, BlockArrived):
            (row, column), (rows, columns) = message.header.origin, message.header.shape
            own[row : row + rows, column : column + columns] = False
    np.testing.assert_array_equal(arrays.counts[own], counts[own])
    if not taken:
        assert bench.session.wire_errors.total() + scan.wire_errors.total() == len(bends)
        assert scan.view().state == "complete"
        np.testing.assert_array_equal(scan.maps.score, undisturbed(counts).maps.score)


def decoded(frames):
    try:
        return wire.decode(frames, Limits())
    except WireError:
        return None
