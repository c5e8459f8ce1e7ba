"""The store on disk: what it keeps, and what it does when the disk will not take it."""

import errno
import json
import os
import sqlite3

import numpy as np
import pytest
from msgspec.structs import replace

from monitor.core import wire
from monitor.core.errors import ConfigError, WireError
from monitor.core.flagging import FlagRule
from monitor.core.session import Session
from monitor.core.version import Version
from monitor.core.wire import Limits
from monitor.io import array_file, block_log
from monitor.io.archive import Archive
from monitor.io.block_log import BlockLog, read_block_log
from tests.doubles import a_card, fake_scores
from tests.streams import a_map, rows_of, start

needs_reserving = pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system reserves no room")


@pytest.fixture
def open_archive(tmp_path):
    opened = []

    def open_one():
        archive = Archive(tmp_path / "data", card=a_card(), rule=FlagRule(fdr=0.05))
        archive.open()
        opened.append(archive)
        return archive

    yield open_one
    for archive in opened:
        archive.close()


def run(archive, messages):
    session = Session(shelf=archive, version=Version(), limits=Limits(), stall_s=30)
    for frames in messages:
        list(session.receive(frames, now_ns=0))
        for scan in session.active:
            while (strip := scan.next_strip(10)) is not None:
                scan.put(strip, fake_scores(strip), version=1, now_ns=0)
    list(session.tick(0))
    return session


def test_an_ended_scan_comes_back_from_disk_as_it_was(open_archive):
    archive = open_archive()
    scan = run(archive, rows_of(a_map())).find("s")
    before = scan.view()
    archive.close()
    again = open_archive()
    assert again.views == {"s": before}
    found = again.find("s")
    np.testing.assert_array_equal(found.maps.score, scan.maps.score)
    np.testing.assert_array_equal(found.assembly.arrays.counts, a_map())
    assert found.view() == before


def test_a_scan_keeps_the_rule_it_was_flagged_by(open_archive):
    archive = open_archive()
    archive.rule = FlagRule(false_flags=2.0)
    run(archive, rows_of(a_map()))
    archive.close()
    found = open_archive().find("s")
    assert found.record.rule == FlagRule(false_flags=2.0)
    assert found.view().false_flags == 2.0


def test_a_scan_that_an_earlier_monitor_has_recorded_opens_as_it_was(open_archive, tmp_path):
    archive = open_archive()
    scan = run(archive, rows_of(a_map())).find("s")
    archive.close()
    (path,) = tmp_path.glob("data/scans/*/maps.npz")
    with np.load(path, allow_pickle=False) as now:
        of_old = {n: now[n] for n in ("score", "p_value", "flag", "energy_ev", "kind", "total", "card")}
    np.savez(path, **of_old)
    with sqlite3.connect(tmp_path / "data" / "catalogue.sqlite") as db:
        for column, gone in (("record", ["false_flags"]), ("view", ["labels", "fdr", "false_flags"])):
            kept = json.loads(db.execute(f"SELECT {column} FROM scans").fetchone()[0])
            db.execute(f"UPDATE scans SET {column} = ?", (json.dumps({n: kept[n] for n in kept if n not in gone}),))
    db.close()
    again = open_archive()
    assert again.views["s"].labels == {}
    found = again.find("s")
    assert found.record.rule == FlagRule(fdr=0.05)
    np.testing.assert_array_equal(found.maps.score, scan.maps.score)
    np.testing.assert_array_equal(found.flags.pixels(), scan.flags.pixels())
    np.testing.assert_array_equal(found.maps.energy_hi_ev, scan.maps.energy_ev)
    assert np.isnan(found.maps.drift_ev).all()


def test_a_recorded_scan_names_its_evidence_after_the_model_that_scored_it(open_archive, tmp_path):
    archive = open_archive()
    run(archive, rows_of(a_map()))
    archive.close()
    other = Archive(tmp_path / "data", card=replace(a_card(), evidence=["of", "another"], labels=[]), rule=archive.rule)
    other.open()
    assert other.find("s").card.family(0) == "intensity"
    assert set(other.find("s").view().labels) == {"spike", "vacuum", "saturated"}
    other.close()


def test_what_cannot_be_written_stays_at_hand_is_told_and_written_later(open_archive, tmp_path):
    archive = open_archive()
    session = run(archive, rows_of(a_map())[:-1])
    folder = next((tmp_path / "data" / "scans").iterdir())
    folder.rename(tmp_path / "away")  # the disk will not take it
    list(session.receive(rows_of(a_map())[-1], now_ns=0))
    list(session.tick(0))
    archive.settle()
    assert "cannot be written to" in archive.fault
    assert archive.find("s").view().pixels.scored == 30
    archive.retry()
    archive.settle()
    assert archive.fault is not None
    (tmp_path / "away").rename(folder)
    archive.retry()
    archive.settle()
    archive.retry()
    assert archive.fault is None
    assert (folder / "maps.npz").is_file()


def test_a_scan_larger_than_disk_and_memory_is_refused_and_leaves_nothing(open_archive, tmp_path):
    archive = open_archive()
    huge = wire.decode(
        start(shape=(4096, 4096), energy={"offset_ev": 0.0, "step_ev": 1.0, "size": 16384}), Limits(max_scan_gib=1e6)
    )
    with pytest.raises(WireError, match="are free"):
        archive.create(huge)
    assert archive.find("s") is None
    assert list((tmp_path / "data" / "scans").iterdir()) == []


def no_room(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@needs_reserving
def test_a_scan_that_a_full_disk_has_no_room_for_is_scored_in_memory_until_a_later_one_is_recorded(
    open_archive, tmp_path, monkeypatch
):
    archive = open_archive()
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    scan = run(archive, rows_of(a_map(), "lost")).find("lost")
    archive.retry()
    assert "scan 'lost' is not recorded" in archive.fault
    assert "No space left" in archive.fault
    assert (scan.record.state, scan.view().pixels.scored) == ("complete", 30)
    assert "No space left" in archive.views["lost"].unrecorded
    np.testing.assert_array_equal(scan.assembly.arrays.counts, a_map())
    assert list((tmp_path / "data" / "scans").iterdir()) == []
    monkeypatch.undo()
    run(archive, rows_of(a_map(), "kept"))
    assert archive.fault is None
    archive.close()
    assert list(open_archive().views) == ["kept"]


def test_of_scans_that_are_not_recorded_the_newest_stay_in_memory(open_archive, tmp_path):
    archive = open_archive()
    (tmp_path / "data" / "scans").rmdir()
    for name in "abcd":
        run(archive, rows_of(a_map(), name))
    assert list(archive.views) == ["d", "c", "b"]
    assert archive.find("a") is None
    assert archive.find("b").view().pixels.scored == 30


@pytest.mark.parametrize("failing", ["a block", "bringing it to the disk"])
def test_a_disk_that_fails_in_mid_scan_costs_the_recording_and_nothing_else(open_archive, monkeypatch, failing):
    archive = open_archive()
    messages = rows_of(a_map())
    session = run(archive, messages[:3])
    if failing == "a block":
        monkeypatch.setattr(BlockLog, "add", no_room)
    else:
        monkeypatch.setattr(array_file, "_to_disk", no_room)
        archive.retry()
        archive.settle()
        assert archive.fault is not None
    scan = session.find("s")
    for frames in messages[3:]:
        list(session.receive(frames, now_ns=0))
        while (strip := scan.next_strip(10)) is not None:
            scan.put(strip, fake_scores(strip), version=1, now_ns=0)
    list(session.tick(0))
    assert "scan 's' is not recorded" in archive.fault
    assert (scan.record.state, scan.view().pixels.scored) == ("complete", 30)
    np.testing.assert_array_equal(archive.find("s").assembly.arrays.counts, a_map())
    archive.close()
    monkeypatch.undo()
    (again,) = open_archive().left_open()  # what has reached the disk is gone on with
    np.testing.assert_array_equal(again.assembly.arrays.counts[:2], a_map()[:2])
    assert again.assembly.received_pixels == 10


def test_a_block_that_was_torn_is_missing_and_not_received_while_its_neighbours_stay(open_archive, tmp_path):
    archive = open_archive()
    run(archive, rows_of(a_map())[:4])
    archive.close()
    (folder,) = (tmp_path / "data" / "scans").iterdir()
    log = folder / "blocks.log"
    log.write_bytes(log.read_bytes().replace(b"\n2\n", b"\n"))  # as if killed before the line of block 2
    (scan,) = open_archive().left_open()
    assert scan.assembly.ledger.gaps == [(2, 2)]
    np.testing.assert_array_equal(scan.assembly.arrays.pixel_seq[:4, 0], [1, 0, 3, 0])
    scan.add(wire.decode(rows_of(a_map())[2], Limits()), version=1, now_ns=0)
    np.testing.assert_array_equal(scan.assembly.arrays.counts[:3], a_map()[:3])


def test_an_open_scan_of_an_earlier_monitor_is_taken_at_the_word_of_its_pixels(open_archive, tmp_path):
    archive = open_archive()
    run(archive, rows_of(a_map())[:4])
    archive.close()
    (folder,) = (tmp_path / "data" / "scans").iterdir()
    (folder / "blocks.log").unlink()
    (scan,) = open_archive().left_open()
    assert (scan.assembly.ledger.highest, scan.assembly.received_pixels) == (3, 15)


def test_a_log_vouches_for_what_is_on_the_disk_and_until_the_machine_ends_for_what_is_written(tmp_path, monkeypatch):
    path = tmp_path / "blocks.log"
    log = BlockLog(path, [1, 2])
    log.add(3)
    log.synced(log.size)
    log.add(14)
    log.add(15)
    log.close()
    assert read_block_log(path) == {1, 2, 3, 14, 15}
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])  # a line cut off
    assert read_block_log(path) == {1, 2, 3, 14}
    path.write_bytes(whole.replace(b"14\n", b"\0\0\n"))  # a page that never came to the disk
    assert read_block_log(path) == {1, 2, 3, 15}
    path.write_bytes(whole)
    monkeypatch.setattr(block_log, "boot_id", lambda: "another start of the machine")
    assert read_block_log(path) == {1, 2, 3}


def test_a_folder_serves_one_monitor_at_a_time(open_archive):
    open_archive()
    with pytest.raises(ConfigError, match="another monitor"):
        open_archive()
