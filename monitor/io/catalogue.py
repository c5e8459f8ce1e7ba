"""DIR/catalogue.sqlite: which scans there are, their records, the rescan requests. Held by one monitor at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from monitor.core.errors import ConfigError
from monitor.core.scan_record import ScanRecord
from monitor.core.views import RescanView, ScanView

_TABLES = """
CREATE TABLE IF NOT EXISTS scans
    (number INTEGER PRIMARY KEY, scan TEXT UNIQUE NOT NULL, state TEXT, record BLOB, view BLOB);
CREATE TABLE IF NOT EXISTS rescans (id TEXT PRIMARY KEY, request BLOB NOT NULL);
"""


class Catalogue:
    """Call `open` before use and `close` after; everything but `open` raises sqlite3.Error where the disk will not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._db: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open or make the file; raises ConfigError where it cannot be used or another monitor holds it."""
        try:
            self._db = sqlite3.connect(self._folder / "catalogue.sqlite", timeout=1.0)
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")  # a write is one append and one fsync
            self._db.executescript(_TABLES)
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.commit()
        except sqlite3.OperationalError as fault:
            raise ConfigError(
                f"data folder {self._folder} cannot be used ({fault}); does another monitor hold it?"
            ) from fault
        except sqlite3.DatabaseError as fault:
            raise ConfigError(f"data folder {self._folder} cannot be used ({fault}); choose another --data") from fault

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextmanager
    def adding(self, scan: str, record: bytes) -> Iterator[int]:
        """Give a new scan its number; the catalogue names it only if the block ends well."""
        with self._connection() as db:
            row = "INSERT OR REPLACE INTO scans (scan, state, record) VALUES (?, ?, ?)"
            number = db.execute(row, (scan, "open", record)).lastrowid
            assert number is not None
            yield number

    def number_of(self, scan: str) -> int | None:
        """The number of a scan's folder."""
        row = self._sql("SELECT number FROM scans WHERE scan = ?", scan).fetchone()
        return None if row is None else row[0]

    def record(self, scan: str) -> ScanRecord | None:
        row = self._sql("SELECT record FROM scans WHERE scan = ?", scan).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=ScanRecord)

    def set_record(self, scan: str, record: bytes, view: ScanView) -> None:
        statement = "UPDATE scans SET state = ?, record = ?, view = ? WHERE scan = ?"
        self._sql(statement, view.state, record, msgspec.json.encode(view), scan)

    def views(self) -> dict[str, ScanView]:
        """Every scan as it was last shown, newest first."""
        rows = self._sql("SELECT scan, view FROM scans WHERE view IS NOT NULL ORDER BY number DESC")
        return {scan: msgspec.json.decode(view, type=ScanView) for scan, view in rows}

    def left_open(self) -> list[str]:
        """Scans that did not come to their end, oldest first."""
        return [scan for (scan,) in self._sql("SELECT scan FROM scans WHERE state = 'open' ORDER BY number")]

    def rescans(self) -> list[RescanView]:
        """Every rescan request, oldest first."""
        rows = self._sql("SELECT request FROM rescans ORDER BY rowid")
        return [msgspec.json.decode(request, type=RescanView) for (request,) in rows]

    def set_rescan(self, request: RescanView) -> None:
        statement = (
            "INSERT INTO rescans (id, request) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET request = excluded.request"
        )
        self._sql(statement, request.id, msgspec.json.encode(request))

    def _sql(self, statement: str, *values: object) -> sqlite3.Cursor:
        with self._connection() as db:
            return db.execute(statement, values)

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise ConfigError("the archive is not open")
        return self._db
