"""Spectrum images on disk -> what the network trains on: one energy window, missing pixels known, blocks held out.

Arrays are (row, column, energy), float32, counts as stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import EnergyAxis, Region, ScanGrid
from monitor.core.errors import DataError, UsageError
from monitor.core.model_card import TrainingInput
from monitor.files.spectrum_image import SpectrumImage, read_spectrum_image, sha256_of

SMALLEST_CHANNELS = 16
SMALLEST_PIXELS = 64
BLOCKS_A_SIDE = 12


class Role(IntEnum):
    """What a pixel is used for; a suspect one, which may be an anomaly, for calibration alone, one beside it not."""

    MISSING = 0
    TRAIN = 1
    VALIDATE = 2
    CALIBRATE = 3
    SUSPECT = 4
    BESIDE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMap:
    """One map: `counts` (row, column, energy) float32, NaN where missing; `role` (row, column) of Role."""

    counts: NDArray[np.float32]
    role: NDArray[np.int8]

    def only(self, *roles: Role) -> NDArray[np.float32]:
        """The counts with every pixel of another role missing."""
        kept = np.isin(self.role, roles)
        return np.where(kept[..., None], self.counts, np.float32(np.nan))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """Maps on one energy axis; `notes` holds one sentence for each thing that was assumed.

    `full`: the largest counts that the files' type of number holds, infinite for floating point.
    """

    maps: tuple[TrainingMap, ...]
    energy: EnergyAxis
    title: str
    inputs: tuple[TrainingInput, ...]
    notes: tuple[str, ...]
    full: float = float("inf")

    @property
    def pixels(self) -> int:
        """Pixels that are not missing."""
        return sum(int((m.role != Role.MISSING).sum()) for m in self.maps)

    def spectra(self, *roles: Role) -> NDArray[np.float32]:
        """Spectra (pixel, energy) of these roles, from all maps."""
        return np.concatenate([m.counts[np.isin(m.role, roles)] for m in self.maps])


def load_training_set(
    files: Sequence[Path], *, energy: str | None, region: str | None, seed: int, shares: tuple[float, float]
) -> TrainingSet:
    """Read `files`, cut out the window and the region, and hold out `shares` (validation, calibration) of the pixels.

    Raises DataError where a file, the window, the region or the amount of data will not do; UsageError for a window or
    region that is not written as it should be.
    """
    images = [read_spectrum_image(file) for file in files]
    first = images[0]
    for file, image in zip(files, images, strict=True):
        if not _same_axis(image.energy, first.energy):
            raise DataError(
                f"{file.name} covers {image.energy}, {files[0].name} covers {first.energy}; "
                "maps trained on together need one energy axis"
            )
    channels, axis = _window(first.energy, energy)
    notes = [note for image in images for note in image.notes]
    rng = np.random.default_rng(seed)
    maps = []
    for file, image in zip(files, images, strict=True):
        rows, columns = _region(image, region, file)
        counts = np.ascontiguousarray(image.counts[rows, columns, channels], dtype=np.float32)
        notes += _oddities(counts, file)
        missing = ~np.isfinite(counts).all(-1)
        counts[missing] = np.nan
        role = hold_out((counts.shape[0], counts.shape[1]), rng, shares)
        role[missing] = Role.MISSING
        maps.append(TrainingMap(counts=counts, role=role))
    inputs = tuple(TrainingInput(name=file.name, sha256=sha256_of(file)) for file in files)
    data = TrainingSet(
        maps=tuple(maps),
        energy=axis,
        title=first.title,
        inputs=inputs,
        notes=tuple(dict.fromkeys(notes)),
        full=min(_largest(image.counts.dtype) for image in images),
    )
    if data.pixels < SMALLEST_PIXELS:
        raise DataError(f"there are {data.pixels} usable pixels; wanted at least {SMALLEST_PIXELS}: give a larger map")
    spectra = data.spectra(Role.TRAIN)
    if not spectra.size or not spectra.mean() > 0:
        raise DataError("the mean of the counts is not above 0; wanted counts as the detector gave them")
    return data


def parse_span(text: str, *, what: str) -> tuple[float, float]:
    """LO:HI as two ascending numbers. Raises UsageError."""
    try:
        lo, hi = (float(part) for part in text.split(":"))
    except ValueError:
        lo, hi = 0.0, 0.0
    if not (np.isfinite(lo) and np.isfinite(hi) and lo < hi):
        raise UsageError(f"{what} is '{text}'; wanted LO:HI with LO below HI, such as 420:820")
    return lo, hi


def _window(axis: EnergyAxis, text: str | None) -> tuple[slice, EnergyAxis]:
    channels = slice(0, axis.size)
    if text is not None:
        lo, hi = parse_span(text, what="the energy window")
        slack = 0.5 * abs(axis.step_ev)
        if lo < axis.lo_ev - slack or hi > axis.hi_ev + slack:
            raise DataError(
                f"the window {lo:g}-{hi:g} eV is not within the file's axis ({axis}); give a window inside it"
            )
        channels = axis.window(lo, hi)
    cut = axis.cropped(channels)
    if cut.size < SMALLEST_CHANNELS:
        raise DataError(
            f"there are {cut.size} channels to train on; wanted at least {SMALLEST_CHANNELS}: widen the window"
        )
    return channels, cut


def _region(image: SpectrumImage, text: str | None, file: Path) -> tuple[slice, slice]:
    rows, columns, _ = image.counts.shape
    if text is None:
        return slice(0, rows), slice(0, columns)
    try:
        (row0, row1), (col0, col1) = ([int(n) for n in part.split(":")] for part in text.split(","))
    except ValueError:
        raise UsageError(f"the region is '{text}'; wanted R0:R1,C0:C1 in pixels, such as 0:40,0:96") from None
    region = Region(row0=row0, col0=col0, row1=row1, col1=col1)
    if not ScanGrid(rows=rows, columns=columns).holds(region):
        raise DataError(f"the region {text} is not within {file.name}, which has {rows} x {columns} pixels")
    return region.slices


def _same_axis(a: EnergyAxis, b: EnergyAxis) -> bool:
    near = abs(a.offset_ev - b.offset_ev) < 0.1 * abs(b.step_ev) and abs(a.step_ev - b.step_ev) < 1e-3 * abs(b.step_ev)
    return a.size == b.size and near


def _largest(dtype: np.dtype) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else float("inf")


def _oddities(counts: NDArray[np.float32], file: Path) -> list[str]:
    notes = []
    missing = int((~np.isfinite(counts).all(-1)).sum())
    if missing:
        notes.append(f"{file.name}: {missing} pixels hold NaN or infinite counts and are taken as missing")
    negative = float((counts < 0).mean())
    if negative:
        notes.append(f"{file.name}: {negative:.2%} of the counts are negative; 0 in the loss, as stored in the score")
    return notes


def hold_out(shape: tuple[int, int], rng: np.random.Generator, shares: tuple[float, float]) -> NDArray[np.int8]:
    """Roles by square blocks, so that a held-out pixel has few training neighbours."""
    side = int(np.clip(round(np.sqrt(shape[0] * shape[1]) / BLOCKS_A_SIDE), 2, 16))
    blocks = -(-shape[0] // side), -(-shape[1] // side)
    count = blocks[0] * blocks[1]
    validate = max(round(shares[0] * count), 1)
    calibrate = max(round(shares[1] * count), 1)
    of_block = np.full(count, Role.TRAIN, dtype=np.int8)
    order = rng.permutation(count)
    of_block[order[:validate]] = Role.VALIDATE
    of_block[order[validate : validate + calibrate]] = Role.CALIBRATE
    role = of_block.reshape(blocks).repeat(side, 0).repeat(side, 1)
    return np.ascontiguousarray(role[: shape[0], : shape[1]])
