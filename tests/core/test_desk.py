"""Proposals, decisions and the instrument's word."""

import pytest

from monitor.core.axes import Region
from monitor.core.desk import RescanDesk, RescanPolicy
from monitor.core.errors import RescanError
from monitor.core.rescan_wire import Status
from monitor.core.version import Version
from tests.core.test_session import Bench
from tests.streams import a_map, rows_of, start

HOUR_NS = 3600 * 10**9


@pytest.fixture
def saved():
    return {}


@pytest.fixture
def desk(saved):
    return RescanDesk(policy=RescanPolicy(), requests=[], save=lambda r: saved.__setitem__(r.id, r), version=Version())


@pytest.fixture
def scan():
    counts = a_map(shape=(20, 20))
    counts[4:6, 4:6] += 400
    return Bench().feed(*rows_of(counts)).wait(0).scan()


def test_each_region_is_proposed_once_with_room_around_it(desk, scan, saved):
    assert len(scan.flags.regions()) == 1
    for _ in range(3):
        desk.propose_regions(scan, scan.flags.regions(), now_ns=1)
    (request,) = desk.requests
    region = scan.flags.regions()[0].region
    assert request.region == (max(region.row0 - 4, 0), max(region.col0 - 4, 0), region.row1 + 4, region.col1 + 4)
    assert (request.state, request.scan) == ("proposed", "s")
    assert request.history[0].message == f"{scan.flags.regions()[0].pixels} pixels flagged"
    assert saved == {request.id: request}


def test_a_child_scan_is_not_rescanned_again(desk):
    counts = a_map(shape=(20, 20))
    counts[4:6, 4:6] += 400
    _, *rest = rows_of(counts)
    bench = Bench().feed(start(shape=(20, 20), parent={"scan": "p", "region": [0, 0, 5, 5]}), *rest).wait(0)
    assert bench.scan().flags.regions()
    desk.propose_regions(bench.scan(), bench.scan().flags.regions(), now_ns=1)
    assert desk.requests == []


def by_hand(desk, scan):
    return desk.propose_by_hand(scan, Region(row0=0, col0=0, row1=3, col1=3), dwell_factor=2.0, now_ns=1).id


def test_the_ordinary_life_of_a_request(desk, scan):
    request = by_hand(desk, scan)
    desk.decide(request, "approved", who="operator", now_ns=2)
    desk.sent(request, client="microscope", now_ns=3)
    for state in ("accepted", "running", "running", "done"):
        desk.report(Status(id=request, state=state, scan="child" if state == "running" else None), now_ns=4)
    assert desk.get(request).state == "done"
    assert desk.get(request).child_scan == "child"
    assert [step.who for step in desk.get(request).history] == ["operator", "operator", "monitor", *["instrument"] * 3]


def test_moves_that_make_no_sense_are_refused(desk, scan):
    request = by_hand(desk, scan)
    with pytest.raises(RescanError, match="proposed"):
        desk.report(Status(id=request, state="done"), now_ns=2)
    desk.decide(request, "denied", who="operator", now_ns=2)
    with pytest.raises(RescanError, match="denied"):
        desk.decide(request, "approved", who="operator", now_ns=3)
    with pytest.raises(RescanError, match="no rescan request"):
        desk.decide("unknown", "approved", who="operator", now_ns=3)


def test_a_proposal_nobody_decides_expires(desk, scan):
    request = by_hand(desk, scan)
    with pytest.raises(RescanError, match="expired"):
        desk.decide(request, "approved", who="operator", now_ns=HOUR_NS)
    assert desk.get(request).state == "expired"


def test_a_region_outside_the_scan_is_refused(desk, scan):
    with pytest.raises(RescanError, match="outside"):
        desk.propose_by_hand(scan, Region(row0=0, col0=0, row1=30, col1=3), dwell_factor=2.0, now_ns=1)
