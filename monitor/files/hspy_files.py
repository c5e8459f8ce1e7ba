"""Files that HyperSpy opens: .hspy through RosettaSciIO's writer, which wants a whole signal as a dict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from monitor.files.spectrum_image import SpectrumImage


def write_eels(path: Path, image: SpectrumImage) -> None:
    """`image` as an EELSSpectrum with its axes, beam energy and dwell time."""
    energy = image.energy
    tem: dict[str, Any] = {}
    if image.beam_kev is not None:
        tem["beam_energy"] = image.beam_kev
    if image.dwell_us is not None:
        tem["Detector"] = {"EELS": {"dwell_time": image.dwell_us / 1e6}}
    write_signal(
        path,
        data=image.counts,
        axes=[
            *scan_axes(image.counts.shape[:2], image.pixel_nm, navigate=True),
            _axis("Energy loss", energy.size, energy.step_ev, energy.offset_ev, "eV", navigate=False, is_binned=True),
        ],
        title=image.title,
        signal_type="EELS",
        metadata={"Acquisition_instrument": {"TEM": tem}} if tem else {},
        original_metadata={},
    )


def scan_axes(shape: Sequence[int], pixel_nm: tuple[float, float] | None, *, navigate: bool) -> list[dict[str, Any]]:
    """The row and column axes of a map; in nm where the pixel size is known, else in pixels without a unit."""
    steps, unit = (pixel_nm, "nm") if pixel_nm is not None else ((1.0, 1.0), None)
    return [
        _axis(name, size, step, 0.0, unit, navigate=navigate, is_binned=False)
        for name, size, step in zip(("y", "x"), shape, steps, strict=True)
    ]


def write_signal(
    path: Path,
    *,
    data: NDArray,
    axes: list[dict[str, Any]],
    title: str,
    signal_type: str,
    metadata: Mapping[str, Any],
    original_metadata: Mapping[str, Any],
) -> None:
    """One HyperSpy signal; `metadata` is added to the title and the signal's type."""
    from rsciio.hspy import file_writer  # h5py loads slowly, and few commands write

    file_writer(
        str(path),
        {
            "data": data,
            "axes": axes,
            "metadata": {"General": {"title": title}, "Signal": {"signal_type": signal_type}, **metadata},
            "original_metadata": dict(original_metadata),
            "attributes": {"_lazy": False},
            "tmp_parameters": {},
            "learning_results": {},
            "package_info": {"package": "", "package_version": ""},
            "models": {},
        },
        show_progressbar=False,
    )


def _axis(
    name: str, size: int, step: float, offset: float, unit: str | None, *, navigate: bool, is_binned: bool
) -> dict[str, Any]:
    return {
        "_type": "UniformDataAxis",
        "name": name,
        "size": int(size),
        "scale": float(step),
        "offset": float(offset),
        "units": unit if unit is not None else "<undefined>",
        "navigate": navigate,
        "is_binned": is_binned,
    }
