"""A detector that pushes Stream V2 over a real socket, and the session behind the source."""

import asyncio
from contextlib import asynccontextmanager

import cbor2
import numpy as np
import pytest
import zmq
import zmq.asyncio

from monitor.core.axes import Region, ScanGrid
from monitor.core.errors import ConfigError, WireError
from monitor.core.session import Session
from monitor.core.version import Version
from monitor.core.wire import Limits
from monitor.io.dectris_source import DectrisSource
from monitor.io.vitals import Queueing
from tests import dectris
from tests.doubles import MemoryShelf

GRID = ScanGrid(rows=3, columns=4)
IMAGES = np.random.default_rng(3).poisson(20, (12, 5, 40)).astype("<u2")
"""12 images of 5 detector rows and 40 columns."""
PATIENCE_S = 10.0


@asynccontextmanager
async def detector_and_source(detector=None):
    """A PUSH socket as the detector's, and an open source that pulls from it."""
    context = zmq.asyncio.Context()
    push = context.socket(zmq.PUSH)
    port = push.bind_to_random_port("tcp://127.0.0.1")
    source = DectrisSource(
        f"dectris+tcp://127.0.0.1:{port}", grid=GRID, offset_ev=420.0, step_ev=10.0, detector=detector
    )
    source.open(context)
    try:
        await source.settle(1.0)
        yield push, source
    finally:
        source.close()
        context.destroy(linger=0)


def received(*messages, detector=None):
    """The session, and the errors, after the detector has sent these messages and an end of another series."""

    async def run():
        session = Session(shelf=MemoryShelf(), version=Version(), limits=Limits(), stall_s=30.0)
        errors = []
        async with detector_and_source(detector) as (push, source):
            for message in [*messages, dectris.end(unique_id="last")]:
                await push.send_multipart(message if isinstance(message, list) else [message])
            while not session.stray:  # the end of a series that nobody knows
                try:
                    frames = await asyncio.wait_for(source.receive(), PATIENCE_S)
                    list(session.receive(frames, now_ns=0))
                except WireError as fault:
                    errors.append(fault)
                    session.refuse(fault)
        return session, errors

    return asyncio.run(run())


def a_series(unique_id="a", **more):
    images = [dectris.image(pixels, n, unique_id=unique_id, **more) for n, pixels in enumerate(IMAGES)]
    return [dectris.start(12, unique_id=unique_id), *images, dectris.end(unique_id=unique_id)]


@pytest.mark.parametrize("pack", [None, dectris.bslz4, dectris.lz4_framed], ids=["plain", "bslz4", "lz4"])
def test_a_series_is_a_scan_of_summed_images_row_by_row(pack):
    session, errors = received(*a_series(pack=pack))
    scan = session.find("a")
    assert errors == []
    assert np.array_equal(scan.assembly.arrays.counts, IMAGES.sum(axis=1).reshape(3, 4, 40))
    assert scan.ended.reason == "complete"
    assert (scan.started.energy.offset_ev, scan.started.energy.step_ev, scan.started.energy.size) == (420.0, 10.0, 40)
    assert scan.started.title == "series 7"


def test_a_region_of_the_detector_keeps_its_energies():
    session, _ = received(*a_series(), detector=Region(row0=1, col0=3, row1=4, col1=33))
    scan = session.find("a")
    assert np.array_equal(scan.assembly.arrays.counts, IMAGES[:, 1:4, 3:33].sum(axis=1).reshape(3, 4, 30))
    assert (scan.started.energy.offset_ev, scan.started.energy.size) == (450.0, 30)


def test_two_series_are_two_scans():
    session, errors = received(*a_series("a"), *a_series("b"))
    assert errors == []
    for scan in ("a", "b"):
        assert session.find(scan).assembly.received_pixels == 12


def test_what_is_wrong_is_counted_with_its_scan_and_the_images_around_it_are_unharmed():
    good = a_series()
    unknown = cbor2.dumps(cbor2.loads(good[1]) | {"data": {"threshold_1": cbor2.CBORTag(41, [])}})
    narrow = dectris.image(IMAGES[0][:, :39], 3, unique_id="a")
    beyond = dectris.image(IMAGES[0], 12, unique_id="a")
    bad = [good[3][:-5], unknown, dectris.image(IMAGES[0].astype("<u8"), 1, unique_id="a"), narrow, beyond]
    session, errors = received(*good[:3], *bad, [b"two", b"frames"], *good[3:])
    assert [fault.kind for fault in errors] == ["cbor", "dtype", "dtype", "shape", "bounds", "frames"]
    assert all("\n" not in str(fault) for fault in errors)
    scan = session.find("a")
    assert np.array_equal(scan.assembly.arrays.counts, IMAGES.sum(axis=1).reshape(3, 4, 40))
    assert dict(scan.wire_errors) == {"dtype": 2, "shape": 1, "bounds": 1}
    assert dict(session.wire_errors) == {"cbor": 1, "frames": 1}


def test_a_series_of_another_number_of_images_than_the_scan_says_so_once():
    session, errors = received(dectris.start(100, unique_id="a"), *a_series()[1:])
    assert [str(fault).split(";")[0] for fault in errors] == ["series has 100 images, a scan of 3 x 4 takes 12"]
    assert session.find("a").assembly.received_pixels == 12


def test_images_sent_before_the_monitor_came_are_not_lost():
    async def run():
        context = zmq.asyncio.Context()
        push = context.socket(zmq.PUSH)
        port = push.bind_to_random_port("tcp://127.0.0.1")
        sent = push.send(dectris.image(IMAGES[0], 0, unique_id="a"))
        source = DectrisSource(f"dectris+tcp://127.0.0.1:{port}", grid=GRID, offset_ev=0.0, step_ev=1.0, detector=None)
        source.open(context)
        try:
            await asyncio.wait_for(sent, PATIENCE_S)
            return await asyncio.wait_for(source.receive(), PATIENCE_S)
        finally:
            source.close()
            context.destroy(linger=0)

    assert b"scan_start" in asyncio.run(run())[0]


def test_an_address_that_is_none_is_one_line():
    async def run():
        context = zmq.asyncio.Context()
        source = DectrisSource("dectris+tcp://", grid=GRID, offset_ev=0.0, step_ev=1.0, detector=None)
        try:
            source.open(context)
        finally:
            source.close()
            context.destroy(linger=0)

    with pytest.raises(ConfigError, match=r"'dectris\+tcp://' cannot be connected to"):
        asyncio.run(run())


def test_the_source_says_how_many_messages_wait():
    async def run():
        async with detector_and_source() as (push, source):
            for message in a_series():
                await push.send_multipart([message])
            await asyncio.wait_for(source.receive(), PATIENCE_S)
            before = source.waiting
            if before:
                await asyncio.wait_for(source.receive(), PATIENCE_S)
            return isinstance(source, Queueing), before, source.waiting

    can_say, before, after = asyncio.run(run())
    assert can_say
    assert after == max(before - 1, 0)
