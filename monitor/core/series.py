"""Numbered series of spectra -> scans on the wire, for cameras that count images and know nothing of a scan.

Law: the number of an image is its pixel, row by row, and its seq; so a source that starts in the middle of a series, or
again, says the same of each image as one that saw all. A new series is a new scan.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core import wire
from monitor.core.axes import EnergyAxis, ScanGrid
from monitor.core.errors import WireError
from monitor.core.messages import BlockHeader, Dtype, ScanEnded, ScanStarted

SERIES_KEPT = 8
"""Images of a series may still come when the next has begun."""

Messages = list[Sequence[wire.Frame]]


@dataclass(slots=True, kw_only=True)
class _Series:
    size: int
    dtype: Dtype
    highest: int = -1


class SeriesScans:
    """Gives the messages that say of each series what happened to it. `scan` is an id that is never used again."""

    def __init__(self, *, grid: ScanGrid, offset_ev: float, step_ev: float) -> None:
        """`offset_ev` is the energy loss of a spectrum's first channel."""
        self._grid = grid
        self._offset_ev = offset_ev
        self._step_ev = step_ev
        self._begun: OrderedDict[str, _Series | None] = OrderedDict()

    def start(self, scan: str, *, images: int) -> None:
        """A series of so many images will come; its scan opens with the first of them.

        Raises WireError where the scan's pixels are another number; the images are taken all the same.
        """
        self._keep(scan, self._begun.get(scan))
        if images != self._grid.pixels:
            raise WireError(
                "series",
                f"series has {images} images, a scan of {self._shape} takes {self._grid.pixels}; "
                "check --scan-rows and --scan-columns",
                scan=scan,
            )

    def image(self, scan: str, *, number: int, spectrum: NDArray[Any], title: str, t_ns: int) -> Messages:
        """Counts (energy,) of image `number`, in a type of the wire; raises WireError where it has no place."""
        if not 0 <= number < self._grid.pixels:
            raise WireError(
                "bounds",
                f"image {number} lies beyond a scan of {self._shape}; check --scan-rows and --scan-columns",
                scan=scan,
            )
        series, messages = self._begun.get(scan), Messages()
        if series is None:
            series = _Series(size=spectrum.size, dtype=_dtype_of(spectrum))
            self._keep(scan, series)
            messages.append(wire.encode(self._scan_start(scan, series, title, t_ns)))
        if (spectrum.size, _dtype_of(spectrum)) != (series.size, series.dtype):
            raise WireError(
                "shape",
                f"image {number} gives {spectrum.size} channels of {_dtype_of(spectrum)}, "
                f"its series began with {series.size} of {series.dtype}; keep the detector as it is during a scan",
                scan=scan,
            )
        series.highest = max(series.highest, number)
        origin = divmod(number, self._grid.columns)
        header = BlockHeader(scan=scan, seq=number + 1, t_ns=t_ns, origin=origin, shape=(1, 1))
        return [*messages, wire.encode(header, spectrum.tobytes())]

    def end(self, scan: str, *, t_ns: int) -> Messages:
        """No more images will come; one that stopped short of the scan's last pixel was aborted."""
        if scan in self._begun and self._begun[scan] is None:  # armed and disarmed, without an image
            return []
        series = self._begun.get(scan)
        blocks = series.highest + 1 if series is not None else self._grid.pixels
        reason = "complete" if blocks == self._grid.pixels else "aborted"
        return [wire.encode(ScanEnded(scan=scan, seq=blocks + 1, t_ns=t_ns, reason=reason, blocks=blocks))]

    @property
    def _shape(self) -> str:
        return f"{self._grid.rows} x {self._grid.columns}"

    def _scan_start(self, scan: str, series: _Series, title: str, t_ns: int) -> ScanStarted:
        energy = EnergyAxis(offset_ev=self._offset_ev, step_ev=self._step_ev, size=series.size)
        return ScanStarted(
            scan=scan, seq=0, t_ns=t_ns, shape=self._grid.shape, energy=energy, dtype=series.dtype, title=title
        )

    def _keep(self, scan: str, series: _Series | None) -> None:
        self._begun[scan] = series
        while len(self._begun) > SERIES_KEPT:
            self._begun.popitem(last=False)


def _dtype_of(spectrum: NDArray[Any]) -> Dtype:
    names: tuple[Dtype, ...] = ("<u4", "<i4", "<f4")
    return next(name for name in names if np.dtype(name) == spectrum.dtype)
