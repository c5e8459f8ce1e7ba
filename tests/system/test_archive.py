"""The store on disk: what it keeps, and what it does when the disk will not take it."""

import json
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
from monitor.io.archive import Archive
from tests.doubles import a_card, fake_scores
from tests.streams import a_map, rows_of, start


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
    np.testing.assert_array_equal(found.flagged(), scan.flagged())
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
    assert "cannot be written to" in archive.fault
    assert archive.find("s").maps.scored_pixels == 30
    archive.retry()
    assert archive.fault is not None
    (tmp_path / "away").rename(folder)
    archive.retry()
    assert archive.fault is None
    assert (folder / "maps.npz").is_file()


def test_a_scan_larger_than_the_disk_is_refused_and_leaves_nothing(open_archive, tmp_path):
    archive = open_archive()
    huge = wire.decode(
        start(shape=(4096, 4096), energy={"offset_ev": 0.0, "step_ev": 1.0, "size": 16384}), Limits(max_scan_gib=1e6)
    )
    with pytest.raises(WireError, match="are free"):
        archive.create(huge)
    assert archive.find("s") is None
    assert list((tmp_path / "data" / "scans").iterdir()) == []


def test_a_folder_serves_one_monitor_at_a_time(open_archive):
    open_archive()
    with pytest.raises(ConfigError, match="another monitor"):
        open_archive()
