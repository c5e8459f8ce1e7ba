"""The codec against its own output, and against bytes that mean nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import wire
from monitor.core.errors import WireError
from monitor.core.messages import BlockArrived, ResendEnded, ResendRequest, ScanEnded, ScanStarted
from monitor.core.wire import Limits
from tests.streams import a_map, block, end, start


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
