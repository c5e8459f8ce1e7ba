"""The record lane's store: a folder per scan and a SQLite catalogue of scans and rescan requests.

    DIR/catalogue.sqlite
    DIR/scans/NUMBER/counts.npy, pixel_seq.npy, blocks.log   see `monitor.io.recording`
    DIR/scans/NUMBER/scan.json, maps.npz                     the record, and the maps as they ended

Ids of strangers are never paths. One monitor holds a folder at a time. Law: nothing that the disk will not take ends
the service: a scan that cannot be recorded is held in memory, and `fault` says so. What takes long is done by one
worker thread, which sees files and finished arrays, never a scan.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from monitor.core.assembly import ScanArrays
from monitor.core.errors import ConfigError, DataError, ModelError, WireError
from monitor.core.flagging import FlagRule
from monitor.core.messages import ScanStarted
from monitor.core.model_card import Card
from monitor.core.scan import Scan
from monitor.core.scan_record import ScanRecord
from monitor.core.views import RescanView, ScanView
from monitor.files.atomic import replacing
from monitor.files.score_maps import ScoreMaps, write_score_maps
from monitor.io.catalogue import Catalogue
from monitor.io.kept_scan import read_kept_scan
from monitor.io.recording import Recording, has_memory, size_of

SCANS_AT_HAND = 4
UNRECORDED_KEPT = 2
"""Scans that ended unrecorded and are still held in memory, the newest ones."""
_DISK = (OSError, DataError, sqlite3.Error)
_log = structlog.get_logger(__name__)


class Archive:
    """A shelf of scans on disk (see `monitor.core.session.Shelf`). Call `open` before use and `close` after."""

    def __init__(self, folder: Path, *, card: Card, rule: FlagRule) -> None:
        self.rule = rule
        self.views: dict[str, ScanView] = {}
        self._not_recorded: str | None = None
        self._trouble: str | None = None
        self._unwritten: dict[str, Scan] = {}
        self._unwritten_rescans: dict[str, RescanView] = {}
        self._recordings: dict[str, tuple[Scan, Recording]] = {}
        self._in_memory: dict[str, Scan] = {}
        self._writing: dict[str, Future[None]] = {}
        self._syncing: list[tuple[str, Future[None]]] = []
        self._folder = folder
        self._card = card
        self._at_hand: OrderedDict[str, Scan] = OrderedDict()
        self._catalogue = Catalogue(folder)
        self._worker = ThreadPoolExecutor(1, "recorder")

    @property
    def fault(self) -> str | None:
        """Why a scan is not recorded, until a later one is; else what cannot be written, until it is; else None."""
        return self._not_recorded if self._not_recorded is not None else self._trouble

    def open(self) -> None:
        """Open or make the folder; raises ConfigError where it cannot be used or another monitor holds it."""
        try:
            (self._folder / "scans").mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise ConfigError(f"data folder {self._folder} cannot be used ({fault}); choose another --data") from fault
        self._catalogue.open()
        self.views = self._catalogue.views()

    def close(self) -> None:
        """Let the folder go once all that is under way is written."""
        self._bring_on()
        self.settle()
        self._worker.shutdown()
        for _, recording in self._recordings.values():
            recording.close()
        self._recordings.clear()
        self._catalogue.close()

    def create(self, started: ScanStarted) -> Scan:
        """Make room for a new scan, on the disk or else in memory; raises WireError where neither has any."""
        record = ScanRecord(started=started, fdr=self.rule.fdr, false_flags=self.rule.false_flags)
        try:
            recording = self._lay_out(record)
        except _DISK as fault:
            if not has_memory(size_of(started)):
                raise WireError(
                    "no_room", f"scan cannot be recorded, nor held in memory ({fault})", scan=started.scan
                ) from fault
            scan = Scan(record=record, arrays=ScanArrays.empty(started), card=self._card)
            self._hold(scan, fault)
            return scan
        self._not_recorded = None
        scan = Scan(record=record, arrays=recording, card=self._card)
        self._recordings[scan.id] = scan, recording
        self.save(scan)
        return scan

    def find(self, scan: str) -> Scan | None:
        """A scan by id, read from disk where it is not at hand; None where there is none or its files are gone."""
        for held in (self._unwritten, self._in_memory):
            if scan in held:
                return held[scan]
        if scan in self._at_hand:
            self._at_hand.move_to_end(scan)
            return self._at_hand[scan]
        if not scan.isprintable():  # no scan has such an id, and SQLite does not take half a surrogate pair
            return None
        try:
            record = self._catalogue.record(scan)
            found = None if record is None else self._load(self._folder_of(scan), record)
        except (*_DISK, ValueError, ModelError):
            return None
        if found is not None:
            self._keep_at_hand(found)
        return found

    def save(self, scan: Scan) -> None:
        """Write the record; of a scan that has just ended the worker first writes its maps and brings all to the disk.

        Trouble is not raised but kept in `fault`, and the scan at hand until `retry` has written it.
        """
        self._show(scan)
        if scan.id in self._in_memory:
            return
        self._unwritten[scan.id] = scan
        with self._trouble_told():
            if scan.open:
                self._write_record(scan)
            elif scan.id not in self._writing:
                self._write_maps(scan, again=False)

    def save_flags(self, scan: Scan) -> None:
        """Write the maps of an ended scan anew, because they are flagged by another rule; trouble as with `save`."""
        self._show(scan)
        if scan.id in self._in_memory:
            return
        self._unwritten[scan.id] = scan
        with self._trouble_told():
            self._write_maps(scan, again=True)

    def retry(self) -> None:
        """Once a second: take up what the worker has done, write again what could not be written, bring open scans on.

        What cannot be written is over as a fault once all of it is written.
        """
        self._take_up()
        for scan in list(self._unwritten.values()):
            self.save(scan)
        for request in list(self._unwritten_rescans.values()):
            self.save_rescan(request)
        if not self._unwritten and not self._unwritten_rescans:
            self._trouble = None
        self._bring_on()

    def settle(self) -> None:
        """Wait for the worker to end what it has been given."""
        wait([*self._writing.values(), *(job for _, job in self._syncing)])
        self._take_up()

    async def maps_file(self, scan: str) -> Path | None:
        """Where the maps of an ended scan lie, once they do; None where they are not on the disk."""
        if (job := self._writing.get(scan)) is not None:
            await asyncio.to_thread(wait, [job])
        try:
            path = None if scan in self._in_memory else self._folder_of(scan) / "maps.npz"
        except sqlite3.Error:
            return None
        return path if path is not None and path.exists() else None

    def left_open(self) -> list[Scan]:
        """Scans that an earlier run of the monitor did not see to their end, oldest first."""
        return [found for scan in self._catalogue.left_open() if (found := self.find(scan)) is not None]

    def rescans(self) -> list[RescanView]:
        """Every rescan request, oldest first."""
        return self._catalogue.rescans()

    def save_rescan(self, request: RescanView) -> None:
        """Keep a request across restarts; trouble as with `save`."""
        with self._trouble_told():
            self._unwritten_rescans[request.id] = request
            self._catalogue.set_rescan(request)
            del self._unwritten_rescans[request.id]

    def _lay_out(self, record: ScanRecord) -> Recording:
        started = record.started
        number = self._catalogue.number_of(started.scan)
        if number is not None and (self._folder_of(started.scan) / "counts.npy").exists():
            raise OSError("an earlier recording of it is there and cannot be read")
        with self._catalogue.adding(started.scan, msgspec.json.encode(record)) as number:
            folder = self._folder / "scans" / f"{number:06d}"
            return Recording.create(folder, started, gave_up=partial(self._gave_up, started.scan))

    def _load(self, folder: Path, record: ScanRecord) -> Scan:
        if record.state != "open":
            return read_kept_scan(folder, record)
        (folder / "maps.npz").unlink(missing_ok=True)  # of an end that the catalogue has not heard of
        recording = Recording.resume(folder, gave_up=partial(self._gave_up, record.started.scan))
        scan = Scan(record=record, arrays=recording, card=self._card)
        self._recordings[scan.id] = scan, recording
        return scan

    def _gave_up(self, scan_id: str, fault: BaseException) -> None:
        scan, recording = self._recordings.pop(scan_id)
        self._worker.submit(recording.close)  # behind what it may be doing with these files
        self._hold(scan, fault)

    def _hold(self, scan: Scan, fault: BaseException) -> None:
        """Go on with a scan that cannot be recorded, and say so; let the oldest such scans go that have ended."""
        said = f"{self._folder} cannot be written to ({' '.join(str(fault).split())}); free some disk"
        scan.record.unrecorded = said
        self._not_recorded = f"scan {scan.id!r} is not recorded: {said}"
        _log.error("scan is not recorded", scan=scan.id, fault=said)
        self._unwritten.pop(scan.id, None)
        self._in_memory[scan.id] = scan
        ended = [held.id for held in self._in_memory.values() if not held.open]
        for gone in ended[:-UNRECORDED_KEPT]:
            del self._in_memory[gone]
            self.views = {name: view for name, view in self.views.items() if name != gone}
        self.save(scan)

    @contextmanager
    def _trouble_told(self) -> Iterator[None]:
        try:
            yield
        except _DISK as fault:
            self._trouble = f"{self._folder} cannot be written to ({fault}); free some disk"

    def _write_record(self, scan: Scan) -> None:
        record = msgspec.json.encode(scan.to_record())
        with replacing(self._folder_of(scan.id) / "scan.json") as temporary:
            temporary.write_bytes(record)
        self._catalogue.set_record(scan.id, record, scan.view())
        del self._unwritten[scan.id]

    def _write_maps(self, scan: Scan, *, again: bool) -> None:
        """Hand counts and maps to the worker. Nobody changes them any more, so that they need no copy."""
        path = self._folder_of(scan.id) / "maps.npz"
        if scan.id in self._recordings:
            self._syncing.append((scan.id, self._worker.submit(self._recordings[scan.id][1].finish)))
        results: dict[str, Any] = scan.maps.results(scan.flags.pixels())
        maps = ScoreMaps(**results, card=scan.card.to_json(), total=scan.assembly.total)
        self._writing[scan.id] = self._worker.submit(_write, path, maps, again=again)

    def _take_up(self) -> None:
        """Take up what the worker has done: the catalogue says that a scan has ended once all of it is on the disk."""
        written = [scan_id for scan_id, job in self._writing.items() if job.done()]  # and so their counts before them
        done = [(scan_id, job) for scan_id, job in self._syncing if job.done()]
        self._syncing = [(scan_id, job) for scan_id, job in self._syncing if (scan_id, job) not in done]
        for scan_id, job in done:
            fault = job.exception()
            if fault is not None and scan_id in self._recordings:
                self._recordings[scan_id][1].give_up(fault)
        for scan_id in written:
            job, scan = self._writing.pop(scan_id), self._unwritten.get(scan_id)
            with self._trouble_told():
                job.result()
                if scan is not None:
                    self._recordings.pop(scan_id, None)
                    self._write_record(scan)
                    self._keep_at_hand(scan)

    def _bring_on(self) -> None:
        """Have the worker bring to the disk what open scans have recorded."""
        for scan_id, (scan, recording) in self._recordings.items():
            if scan.open and scan_id not in dict(self._syncing):
                self._syncing.append((scan_id, self._worker.submit(recording.sync)))

    def _show(self, scan: Scan) -> None:
        view = {scan.id: scan.view()}
        self.views = self.views | view if scan.id in self.views else view | self.views

    def _folder_of(self, scan: str) -> Path:
        return self._folder / "scans" / f"{self._catalogue.number_of(scan):06d}"

    def _keep_at_hand(self, scan: Scan) -> None:
        self._at_hand[scan.id] = scan
        self._at_hand.move_to_end(scan.id)
        while len(self._at_hand) > SCANS_AT_HAND:
            self._at_hand.popitem(last=False)


def _write(path: Path, maps: ScoreMaps, *, again: bool) -> None:
    if again or not path.exists():
        write_score_maps(path, maps)
