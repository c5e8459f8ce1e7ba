"""The files of one open scan: counts.npy and pixel_seq.npy, laid out in full, and blocks.log that vouches for blocks.

Law: counts first, then the seqs of their pixels, then the block's line in the log. Files are written with write(2) and
read through a read-only map, so that a disk that will not take them is an OSError and never a signal. From the first
such error on the scan is held in memory and its files are left as they are.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from monitor.core.assembly import ScanArrays
from monitor.core.axes import Region
from monitor.core.errors import DataError, WireError
from monitor.core.messages import ScanStarted
from monitor.io.array_file import ArrayFile, reserve
from monitor.io.block_log import BlockLog, read_block_log


class Recording(ScanArrays):
    """Arrays that are written to disk block by block; `create` and `resume` make them.

    `gave_up` is called once, with the error, when a block cannot be written.
    """

    def __init__(self, folder: Path, *, gave_up: Callable[[BaseException], None], vouched: set[int]) -> None:
        counts = open_memmap(folder / "counts.npy", mode="r")
        on_disk = open_memmap(folder / "pixel_seq.npy", mode="r")
        super().__init__(counts=counts, pixel_seq=np.array(on_disk), received=vouched)
        self.recording = True
        self._gave_up = gave_up
        self._counts = ArrayFile(folder / "counts.npy", counts)
        self._pixel_seq = ArrayFile(folder / "pixel_seq.npy", on_disk)
        torn = (self.pixel_seq > 0) & ~np.isin(self.pixel_seq, list(vouched))
        if torn.any():
            self.pixel_seq[torn] = 0
            self._pixel_seq.write(_all_of(self.pixel_seq), self.pixel_seq)
        self._bring_to_disk()
        self._log = BlockLog(folder / "blocks.log", vouched)
        self._synced_size = self._log.size

    @classmethod
    def create(cls, folder: Path, started: ScanStarted, *, gave_up: Callable[[BaseException], None]) -> Recording:
        """Lay out the files of a new scan in `folder` and take their room on the disk.

        Raises OSError or DataError, and then there is no such folder.
        """
        wanted, free = size_of(started), shutil.disk_usage(folder.parent).free
        if wanted > free:
            raise OSError(f"it takes {wanted / 2**20:,.1f} MiB, {free / 2**20:,.1f} MiB are free")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shape = (*started.shape, started.energy.size)
        try:
            for name, dtype, of in (("counts", started.dtype, shape), ("pixel_seq", np.int64, started.shape)):
                path = folder / f"{name}.npy"
                open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=of)
                reserve(path)
            return cls(folder, gave_up=gave_up, vouched=set())
        except (OSError, DataError):
            shutil.rmtree(folder, ignore_errors=True)
            raise

    @classmethod
    def resume(cls, folder: Path, *, gave_up: Callable[[BaseException], None]) -> Recording:
        """Go on with the files of an open scan: pixels of blocks that nothing vouches for are missing again.

        A folder from before there were logs is taken at the word of its pixel_seq.npy. Raises OSError, ValueError or
        DataError where the files cannot be used.
        """
        try:
            vouched = read_block_log(folder / "blocks.log")
        except FileNotFoundError:
            vouched = {int(seq) for seq in np.unique(np.load(folder / "pixel_seq.npy", allow_pickle=False)) if seq > 0}
        return cls(folder, gave_up=gave_up, vouched=vouched)

    def put(self, region: Region, counts: NDArray[Any], pixel_seq: NDArray[np.int64], *, seq: int) -> None:
        """See ScanArrays; raises WireError where neither the disk nor the memory has room."""
        if self.recording:
            try:
                held = self.pixel_seq[region.slices]
                if held.any():  # the older block's seq does not vouch for what is written over it
                    self._pixel_seq.write(region, np.where(held == pixel_seq, held, 0))
                self._counts.write(region, counts)
                self._pixel_seq.write(region, pixel_seq)
                self._log.add(seq)
            except OSError as fault:
                self.give_up(fault)
        if self.recording:
            self.pixel_seq[region.slices] = pixel_seq
        elif self.counts.flags.writeable:
            super().put(region, counts, pixel_seq, seq=seq)
        else:
            raise WireError("no_room", "block can be recorded neither on the disk nor in memory; free some of either")

    def give_up(self, fault: BaseException) -> None:
        """Go on in memory, where it has room; what is on the disk stays there."""
        if not self.recording:
            return
        self.recording = False
        if has_memory(self.counts.nbytes):
            held = np.zeros(self.counts.shape, self.counts.dtype)
            for row in np.flatnonzero(self.pixel_seq.any(axis=1)):
                held[row] = self.counts[row]
            self.counts = held
        self._gave_up(fault)

    def sync(self) -> None:
        """Bring to the disk what was recorded so far, in a worker thread; raises OSError."""
        size = self._log.size
        if self.recording and size != self._synced_size:
            self._bring_to_disk()
            self._log.synced(size)
            self._synced_size = self._log.size

    def finish(self) -> None:
        """Bring all to the disk and close the files, in a worker thread; no block may come later. Raises OSError."""
        self._bring_to_disk()
        self.close()

    def close(self) -> None:
        """Close the files; doing it again changes nothing."""
        for file in (self._counts, self._pixel_seq, self._log):
            file.close()

    def _bring_to_disk(self) -> None:
        self._counts.to_disk()
        self._pixel_seq.to_disk()


def size_of(started: ScanStarted) -> int:
    """Bytes that the counts of a scan take."""
    return math.prod((*started.shape, started.energy.size)) * np.dtype(started.dtype).itemsize


def has_memory(size_bytes: int) -> bool:
    """Whether that much memory is free; taken for granted where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return True
    free_kib = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
    return free_kib is None or size_bytes <= free_kib * 1024


def _all_of(pixels: NDArray[Any]) -> Region:
    return Region(row0=0, col0=0, row1=pixels.shape[0], col1=pixels.shape[1])
