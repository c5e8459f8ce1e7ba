"""The record lane's store: a folder per scan and a SQLite catalogue of scans and rescan requests.

    DIR/catalogue.sqlite
    DIR/scans/NUMBER/counts.npy, pixel_seq.npy   memory-mapped while the scan runs: what is written survives the process
    DIR/scans/NUMBER/scan.json, maps.npz         the record, and the maps as they ended

Ids of strangers are never paths. One monitor holds a folder at a time.
"""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.lib.format import open_memmap

from monitor.core.assembly import ScanArrays
from monitor.core.errors import ConfigError, DataError, ModelError, WireError
from monitor.core.flagging import FlagRule
from monitor.core.maps import LiveMaps
from monitor.core.messages import ScanStarted
from monitor.core.model_card import Card, read_card
from monitor.core.scan import Scan, ScanRecord
from monitor.core.views import RescanView, ScanView
from monitor.files.atomic import replacing
from monitor.files.score_maps import ScoreMaps, read_score_maps, write_score_maps

SCANS_AT_HAND = 4
_TABLES = """
CREATE TABLE IF NOT EXISTS scans
    (number INTEGER PRIMARY KEY, scan TEXT UNIQUE NOT NULL, state TEXT, record BLOB, view BLOB);
CREATE TABLE IF NOT EXISTS rescans (id TEXT PRIMARY KEY, request BLOB NOT NULL);
"""


class Archive:
    """A shelf of scans on disk (see `monitor.core.session.Shelf`). Call `open` before use and `close` after."""

    def __init__(self, folder: Path, *, card: Card, rule: FlagRule) -> None:
        self.rule = rule
        self.fault: str | None = None
        self._unwritten: dict[str, Scan] = {}
        self._unwritten_rescans: dict[str, RescanView] = {}
        self.views: dict[str, ScanView] = {}
        self._folder = folder
        self._card = card
        self._at_hand: OrderedDict[str, Scan] = OrderedDict()
        self._db: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open or make the folder; raises ConfigError where it cannot be used or another monitor holds it."""
        try:
            (self._folder / "scans").mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self._folder / "catalogue.sqlite", timeout=1.0)
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.executescript(_TABLES)
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.commit()
        except sqlite3.OperationalError as fault:
            raise ConfigError(
                f"data folder {self._folder} cannot be used ({fault}); does another monitor hold it?"
            ) from fault
        except (OSError, sqlite3.DatabaseError) as fault:
            raise ConfigError(f"data folder {self._folder} cannot be used ({fault}); choose another --data") from fault
        rows = self._db.execute("SELECT scan, view FROM scans WHERE view IS NOT NULL ORDER BY number DESC")
        self.views = {scan: msgspec.json.decode(view, type=ScanView) for scan, view in rows}

    def close(self) -> None:
        """Let the folder go; what is saved stays."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def create(self, started: ScanStarted) -> Scan:
        """Make room for a new scan; raises WireError where the disk has none."""
        shape = (*started.grid.shape, started.energy.size)
        wanted = int(np.prod(shape, dtype=np.int64)) * np.dtype(started.dtype).itemsize
        record = ScanRecord(started=started, fdr=self.rule.fdr, false_flags=self.rule.false_flags)
        try:
            free = shutil.disk_usage(self._folder).free
            if wanted > free:
                raise OSError(f"it takes {wanted / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free")
            if self._number_of(started.scan) is not None and (self._folder_of(started.scan) / "counts.npy").exists():
                raise OSError("an earlier recording of it is there and cannot be read")
            with self._connection() as db:  # the catalogue names the scan only once its files stand
                row = "INSERT OR REPLACE INTO scans (scan, state, record) VALUES (?, ?, ?)"
                number = db.execute(row, (started.scan, "open", _json(record))).lastrowid
                folder = self._folder / "scans" / f"{number:06d}"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                arrays = ScanArrays(
                    counts=open_memmap(folder / "counts.npy", mode="w+", dtype=np.dtype(started.dtype), shape=shape),
                    pixel_seq=open_memmap(folder / "pixel_seq.npy", mode="w+", dtype=np.int64, shape=started.shape),
                )
        except (OSError, sqlite3.Error) as fault:
            raise WireError(
                "no_room", f"scan cannot be recorded in {self._folder} ({fault})", scan=started.scan
            ) from fault
        scan = Scan(record=record, arrays=arrays, card=self._card)
        self.save(scan)
        return scan

    def find(self, scan: str) -> Scan | None:
        """A scan by id, read from disk where it is not at hand; None where there is none or its files are gone."""
        if scan in self._unwritten:
            return self._unwritten[scan]
        if scan in self._at_hand:
            self._at_hand.move_to_end(scan)
            return self._at_hand[scan]
        if not scan.isprintable():  # no scan has such an id, and SQLite does not take half a surrogate pair
            return None
        row = self._sql("SELECT record FROM scans WHERE scan = ?", scan).fetchone()
        if row is None:
            return None
        try:
            found = self._load(self._folder_of(scan), msgspec.json.decode(row[0], type=ScanRecord))
        except (OSError, ValueError, DataError, ModelError):
            return None
        self._keep_at_hand(found)
        return found

    def save(self, scan: Scan) -> None:
        """Write the record, and the maps when the scan has just ended.

        Trouble is not raised but kept in `fault`, and the scan at hand until `retry` has written it.
        """
        with self._trouble_told():
            self._unwritten[scan.id] = scan
            self._write(scan)
            del self._unwritten[scan.id]

    def retry(self) -> None:
        """Write again what could not be written; `fault` is over once all of it is."""
        for scan in list(self._unwritten.values()):
            self.save(scan)
        for request in list(self._unwritten_rescans.values()):
            self.save_rescan(request)
        if not self._unwritten and not self._unwritten_rescans:
            self.fault = None

    @contextmanager
    def _trouble_told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, DataError, sqlite3.Error) as fault:
            self.fault = f"{self._folder} cannot be written to ({fault}); free some disk"

    def _write(self, scan: Scan) -> None:
        folder = self._folder_of(scan.id)
        record = _json(scan.to_record())
        with replacing(folder / "scan.json") as temporary:
            temporary.write_bytes(record)
        if not scan.open:
            if not (folder / "maps.npz").exists():
                self._write_maps(folder, scan)
            self._keep_at_hand(scan)
        view = scan.view()
        self.views = {scan.id: view} | self.views if scan.id not in self.views else self.views | {scan.id: view}
        self._sql(
            "UPDATE scans SET state = ?, record = ?, view = ? WHERE scan = ?", view.state, record, _json(view), scan.id
        )

    def save_flags(self, scan: Scan) -> None:
        """Write the maps of an ended scan anew, because they are flagged by another rule; trouble as with `save`."""
        with self._trouble_told():
            self._write_maps(self._folder_of(scan.id), scan)
        self.save(scan)

    def maps_path(self, scan: str) -> Path:
        """Where the maps of an ended scan lie."""
        return self._folder_of(scan) / "maps.npz"

    def left_open(self) -> list[Scan]:
        """Scans that an earlier run of the monitor did not see to their end, oldest first."""
        rows = self._sql("SELECT scan FROM scans WHERE state = 'open' ORDER BY number").fetchall()
        return [found for (scan,) in rows if (found := self.find(scan)) is not None]

    def rescans(self) -> list[RescanView]:
        """Every rescan request, oldest first."""
        rows = self._sql("SELECT request FROM rescans ORDER BY rowid")
        return [msgspec.json.decode(request, type=RescanView) for (request,) in rows]

    def save_rescan(self, request: RescanView) -> None:
        """Keep a request across restarts; trouble as with `save`."""
        statement = (
            "INSERT INTO rescans (id, request) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET request = excluded.request"
        )
        with self._trouble_told():
            self._unwritten_rescans[request.id] = request
            self._sql(statement, request.id, _json(request))
            del self._unwritten_rescans[request.id]

    def _load(self, folder: Path, record: ScanRecord) -> Scan:
        arrays = ScanArrays(
            counts=open_memmap(folder / "counts.npy", mode="r+"),
            pixel_seq=open_memmap(folder / "pixel_seq.npy", mode="r+"),
        )
        if record.state == "open":
            return Scan(record=record, arrays=arrays, card=self._card)
        kept = read_score_maps(folder / "maps.npz")
        card = read_card(kept.card, where=str(folder / "maps.npz"))  # what it was scored by names its kinds and labels
        return Scan(record=record, arrays=arrays, card=card, maps=_maps_of(kept, record), total=kept.total)

    def _write_maps(self, folder: Path, scan: Scan) -> None:
        results: dict[str, Any] = scan.maps.results(scan.flagged())
        write_score_maps(folder / "maps.npz", ScoreMaps(**results, card=scan.card.to_json(), total=scan.assembly.total))

    def _folder_of(self, scan: str) -> Path:
        return self._folder / "scans" / f"{self._number_of(scan):06d}"

    def _number_of(self, scan: str) -> int | None:
        row = self._sql("SELECT number FROM scans WHERE scan = ?", scan).fetchone()
        return None if row is None else row[0]

    def _keep_at_hand(self, scan: Scan) -> None:
        self._at_hand[scan.id] = scan
        self._at_hand.move_to_end(scan.id)
        while len(self._at_hand) > SCANS_AT_HAND:
            self._at_hand.popitem(last=False)

    def _sql(self, statement: str, *values: object) -> sqlite3.Cursor:
        with self._connection() as db:
            return db.execute(statement, values)

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise ConfigError("the archive is not open")
        return self._db


def _maps_of(kept: ScoreMaps, record: ScanRecord) -> LiveMaps:
    """The maps of a recorded scan; an earlier monitor has recorded fewer of them."""
    of_old: dict[str, Any] = {"energy_lo_ev": kept.energy_ev, "energy_hi_ev": kept.energy_ev}
    empty, arrays = LiveMaps.empty(record.started.grid), of_old | kept.arrays()
    return dataclasses.replace(empty, **{f.name: arrays[f.name] for f in dataclasses.fields(empty) if f.name in arrays})


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
