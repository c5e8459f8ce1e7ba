"""A .npy file that is written in part, by write(2)."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import Region

_to_disk: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


class ArrayFile:
    """A .npy file open for writing; its first two axes are (row, column)."""

    def __init__(self, path: Path, array: np.memmap[Any, Any]) -> None:
        self._file = io.FileIO(path, "r+")
        self._offset = array.offset
        self._dtype = array.dtype
        self._columns = array.shape[1]
        self._pixel_bytes = array.strides[1]

    def write(self, region: Region, values: NDArray[Any]) -> None:
        values = np.ascontiguousarray(values, self._dtype)
        whole_rows = region.shape[1] == self._columns
        for first, part in [(0, values)] if whole_rows else enumerate(values):
            pixel = (region.row0 + first) * self._columns + region.col0
            self._file.seek(self._offset + pixel * self._pixel_bytes)
            rest = part.data.cast("B")
            while rest:
                rest = rest[self._file.write(rest) :]

    def to_disk(self) -> None:
        if not self._file.closed:
            _to_disk(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def reserve(path: Path) -> None:
    """Take the room of a sparse file; raises OSError where the disk has none.

    Where the system cannot reserve, the room is found missing block by block.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as fault:
            if fault.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
