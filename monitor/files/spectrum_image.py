"""A spectrum image on disk: one reader and one writer for every format, arrays always (row, column, energy)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import EnergyAxis
from monitor.core.errors import DataError

RSCIIO_SUFFIXES = (".dm3", ".dm4", ".hspy", ".emd", ".nxs")
NUMPY_SUFFIXES = (".npz", ".npy")
WRITABLE_SUFFIXES = (".hspy", ".npz", ".npy")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumImage:
    """Counts (row, column, energy), dtype as stored, and what the file says of how they were taken.

    `pixel_nm` is (row, column). `notes` holds one sentence for each thing that was assumed while reading.
    """

    counts: NDArray
    energy: EnergyAxis
    title: str
    beam_kev: float | None = None
    dwell_us: float | None = None
    pixel_nm: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def read_spectrum_image(path: Path) -> SpectrumImage:
    """The spectrum image in `path`, counts (row, column, energy) and C-contiguous.

    Raises DataError where there is no such file, it cannot be read, or it holds no spectrum image.
    """
    from monitor.files import numpy_files, rsciio_files

    path = Path(path)
    suffix = path.suffix.lower()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {what}; wanted a spectrum image ({_listed(RSCIIO_SUFFIXES + NUMPY_SUFFIXES)})")
    try:
        if suffix == ".npy":
            image = numpy_files.read_npy(path)
        elif suffix == ".npz":
            image = numpy_files.read_npz(path)
        elif suffix in RSCIIO_SUFFIXES:
            image = rsciio_files.read(path)
        else:
            raise DataError(
                f"{path.name} is {suffix or 'a file without a suffix'}; "
                f"wanted a spectrum image ({_listed(RSCIIO_SUFFIXES + NUMPY_SUFFIXES)})"
            )
    except DataError:
        raise
    except Exception as fault:  # readers of broken files fail in every way there is
        raise DataError(f"{path.name} cannot be read ({_one_line(fault)}); is the file whole?") from fault
    _check(image, path)
    return image


def write_spectrum_image(path: Path, image: SpectrumImage) -> None:
    """Write `image` whole or not at all; the suffix of `path` picks the format.

    .hspy opens in HyperSpy as an EELSSpectrum, .npz keeps the axes too, .npy holds the counts alone.
    Raises DataError for another suffix or where the place cannot be written to.
    """
    from monitor.files import hspy_files, numpy_files
    from monitor.files.atomic import replacing

    path = Path(path)
    suffix = path.suffix.lower()
    writers = {".hspy": hspy_files.write_eels, ".npz": numpy_files.write_npz, ".npy": numpy_files.write_npy}
    if suffix not in writers:
        raise DataError(f"{path.name} is no format to write counts to; wanted {_listed(WRITABLE_SUFFIXES)}")
    with replacing(path) as temporary:
        writers[suffix](temporary, image)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(image: SpectrumImage, path: Path) -> None:
    counts, energy = image.counts, image.energy
    if counts.dtype.kind not in "uif":
        raise DataError(f"{path.name} holds {counts.dtype} values; wanted real numbers (counts)")
    if 0 in counts.shape:
        raise DataError(f"{path.name} holds an empty array of shape {counts.shape}; wanted (row, column, energy)")
    if not (np.isfinite(energy.offset_ev) and np.isfinite(energy.step_ev)) or energy.step_ev == 0:
        raise DataError(
            f"{path.name} has an energy axis from {energy.offset_ev:g} in steps of {energy.step_ev:g} eV; "
            "wanted finite numbers and a step that is not 0: calibrate the file"
        )


def _one_line(fault: Exception) -> str:
    text = " ".join(str(fault).split())
    return f"{type(fault).__name__}: {text[:160]}" if text else type(fault).__name__


def _listed(suffixes: tuple[str, ...]) -> str:
    return ", ".join(suffixes)
