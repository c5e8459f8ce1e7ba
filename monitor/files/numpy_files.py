"""Spectrum images as .npy and .npz; never unpickled. Where nothing says otherwise the energy axis is the last."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import EnergyAxis
from monitor.core.errors import DataError
from monitor.files.spectrum_image import SpectrumImage

OFFSET_AND_STEP = (
    ("energy_offset_ev", "energy_step_ev"),
    ("offset_ev", "step_ev"),
    ("offset", "step"),
    ("offset", "scale"),
)
ENERGY_WORDS = {"energy", "energies", "ev", "kev", "loss", "eloss", "axis"}
UNIFORM_TO = 1e-3
"""Largest departure from a uniform axis, in steps."""


def read_npy(path: Path) -> SpectrumImage:
    """The array in a .npy file; raises DataError where it is not three-dimensional."""
    counts = _loaded(path)
    if not isinstance(counts, np.ndarray):
        counts.close()
        raise DataError(f"{path.name} is an archive of arrays; name it .npz")
    if counts.ndim != 3:
        raise DataError(f"{path.name} holds an array of shape {counts.shape}; wanted (row, column, energy)")
    energy, note = _counted_channels(counts.shape[2])
    return SpectrumImage(counts=native(counts), energy=energy, title=path.stem, notes=(note,))


def read_npz(path: Path) -> SpectrumImage:
    """`counts`, or else the only 3D array, and what the other keys say; raises DataError where there is none."""
    archive = _loaded(path)
    if isinstance(archive, np.ndarray):
        raise DataError(f"{path.name} is a single array; name it .npy")
    with archive:
        counts = _counts(archive, path)
        energy, notes = _energy_axis(archive, counts.shape[2], path)
        pixel_nm = np.ravel(archive["pixel_nm"]) if "pixel_nm" in archive.files else np.empty(0)
        return SpectrumImage(
            counts=native(counts),
            energy=energy,
            title=str(archive["title"]) if "title" in archive.files else path.stem,
            beam_kev=_number(archive, "beam_kev"),
            dwell_us=_number(archive, "dwell_us"),
            pixel_nm=(float(pixel_nm[0]), float(pixel_nm[1])) if pixel_nm.size == 2 else None,
            notes=notes,
        )


def _loaded(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except ValueError as fault:  # numpy takes whatever it does not know for a pickle, and advises to trust it
        raise DataError(
            f"{path.name} holds no array of numbers that numpy can read; is the file whole, and its suffix right?"
        ) from fault


def write_npy(path: Path, image: SpectrumImage) -> None:
    """The counts alone."""
    np.save(path, image.counts, allow_pickle=False)


def write_npz(path: Path, image: SpectrumImage) -> None:
    """Everything but the notes, uncompressed (counts are noise and compress badly)."""
    values = {
        "counts": image.counts,
        "energy_offset_ev": image.energy.offset_ev,
        "energy_step_ev": image.energy.step_ev,
        "title": image.title,
        "beam_kev": image.beam_kev,
        "dwell_us": image.dwell_us,
        "pixel_nm": image.pixel_nm,
    }
    np.savez(path, allow_pickle=False, **{key: np.asarray(value) for key, value in values.items() if value is not None})


def uniform_axis(energies_ev: NDArray) -> EnergyAxis | None:
    """The axis through `energies_ev` (channel,), or None where they are not evenly spaced."""
    values = np.asarray(energies_ev, dtype=np.float64)
    if values.size < 2 or not np.isfinite(values).all():
        return None
    step = (values[-1] - values[0]) / (values.size - 1)
    axis = EnergyAxis(offset_ev=float(values[0]), step_ev=float(step), size=values.size)
    if step == 0 or np.abs(values - axis.energies_ev()).max() > UNIFORM_TO * abs(step):
        return None
    return axis


def native(counts: NDArray) -> NDArray:
    """`counts` C-contiguous and in this machine's byte order; copied only where it is not."""
    return np.ascontiguousarray(counts, dtype=counts.dtype.newbyteorder("="))


def _counts(archive: np.lib.npyio.NpzFile, path: Path) -> NDArray:
    if "counts" in archive.files:
        counts = archive["counts"]
        if counts.ndim != 3:
            raise DataError(f"'counts' in {path.name} has shape {counts.shape}; wanted (row, column, energy)")
        return counts
    shapes = {}
    for key in archive.files:
        array = archive[key]
        shapes[key] = array.shape
        del array
    cubes = [key for key, shape in shapes.items() if len(shape) == 3]
    if len(cubes) != 1:
        found = ", ".join(f"{key} {shape}" for key, shape in shapes.items()) or "nothing"
        raise DataError(f"{path.name} holds {found[:200]}; wanted one (row, column, energy) array, named counts")
    return archive[cubes[0]]


def _energy_axis(archive: np.lib.npyio.NpzFile, size: int, path: Path) -> tuple[EnergyAxis, tuple[str, ...]]:
    for offset_key, step_key in OFFSET_AND_STEP:
        offset, step = _number(archive, offset_key), _number(archive, step_key)
        if offset is not None and step is not None:
            return EnergyAxis(offset_ev=offset, step_ev=step, size=size), ()
    for key in archive.files:
        words = set(re.split(r"[^a-z]+", key.lower()))
        if not words & ENERGY_WORDS:
            continue
        values = archive[key]
        if values.shape != (size,) or values.dtype.kind not in "uif":
            continue
        axis = uniform_axis(values * 1000.0 if "kev" in words else values)
        if axis is None:
            raise DataError(f"'{key}' in {path.name} is not evenly spaced; resample the map to a uniform energy axis")
        return axis, (f"The energy axis was taken from the array '{key}'.",)
    axis, note = _counted_channels(size)
    return axis, (note,)


def _counted_channels(size: int) -> tuple[EnergyAxis, str]:
    note = "The file has no energy calibration: channels are counted as 1 eV from 0, along the last axis."
    return EnergyAxis(offset_ev=0.0, step_ev=1.0, size=size), note


def _number(archive: np.lib.npyio.NpzFile, key: str) -> float | None:
    if key not in archive.files:
        return None
    value = archive[key]
    return float(value.reshape(())) if value.size == 1 and value.dtype.kind in "uif" else None
