"""Spectrum images read through RosettaSciIO, whose readers differ in where they put the energy axis.

The axis is found by its unit: the bare DigitalMicrograph reader gives maps energy first and flags the axes wrongly.
"""

from __future__ import annotations

import importlib
import logging
import math
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from monitor.core.axes import EnergyAxis
from monitor.core.errors import DataError
from monitor.files.numpy_files import native, uniform_axis
from monitor.files.spectrum_image import SpectrumImage

EV_PER = {"ev": 1.0, "kev": 1e3, "electronvolt": 1.0, "electron_volt": 1.0}
NM_PER = {"m": 1e9, "mm": 1e6, "µm": 1e3, "μm": 1e3, "um": 1e3, "nm": 1.0, "å": 0.1, "angstrom": 0.1, "pm": 1e-3}
SECONDS_PATHS = (
    "Acquisition_instrument.TEM.Detector.EELS.dwell_time",
    "Acquisition_instrument.TEM.Detector.EELS.exposure",
    "Acquisition_instrument.TEM.dwell_time",
)
BEAM_PATH = "Acquisition_instrument.TEM.beam_energy"


def read(path: Path) -> SpectrumImage:
    """The spectrum image in a file of a format that RosettaSciIO reads; raises DataError or what its reader raises."""
    signals = _signals(path)
    candidates = [signal for signal in signals if _energy_index(signal) is not None]
    if not candidates:
        found = "; ".join(_described(signal) for signal in signals) or "nothing"
        raise DataError(f"{path.name} holds {found[:200]}; wanted a spectrum image: two scan axes and one in eV")
    best = max(candidates, key=_preference)
    notes = []
    if len(candidates) > 1:
        notes.append(f"The file holds {len(candidates)} spectrum images: '{_title(best, path)}' was taken.")
    return _image(best, path, notes)


def _signals(path: Path) -> list[dict[str, Any]]:
    # rsciio.IO_PLUGINS is read here because it parses every format's description at import.
    from rsciio import IO_PLUGINS

    suffix = path.suffix[1:].lower()
    plugin = next(plugin for plugin in IO_PLUGINS if suffix in plugin["file_extensions"])
    logger = logging.getLogger("rsciio")
    silent = logging.NullHandler()  # else the readers' own complaints reach stderr beside our one line
    logger.addHandler(silent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(plugin["api"]).file_reader(str(path))
    finally:
        logger.removeHandler(silent)


def _image(signal: Mapping[str, Any], path: Path, notes: list[str]) -> SpectrumImage:
    data, axes = signal["data"], signal["axes"]
    index = _energy_index(signal)
    assert index is not None, "only candidates come here"
    energy_axis = axes[index]
    per_unit = EV_PER.get(_unit(energy_axis))
    if per_unit is None:
        per_unit = 1.0
        notes.append("The energy axis has no unit: its numbers are taken as eV.")
    if index != data.ndim - 1:
        notes.append(f"The energy axis was stored as axis {index + 1} of 3 and was moved to the last place.")
    signal_type = _signal_type(signal)
    if signal_type and not signal_type.startswith("EELS"):
        notes.append(f"The file calls this signal {signal_type}, not EELS.")
    pixels = [_step_nm(axis) for place, axis in enumerate(axes) if place != index]
    if None in pixels:
        notes.append("The pixel size is not calibrated.")
    seconds = next((s for s in (_number(signal, name) for name in SECONDS_PATHS) if s is not None), None)
    return SpectrumImage(
        counts=native(np.moveaxis(np.asarray(data), index, -1)),
        energy=_energy_axis(energy_axis, data.shape[index], per_unit, path),
        title=_title(signal, path),
        beam_kev=_number(signal, BEAM_PATH),
        dwell_us=seconds * 1e6 if seconds is not None else None,
        pixel_nm=(pixels[0], pixels[1]) if pixels[0] is not None and pixels[1] is not None else None,
        notes=tuple(notes),
    )


def _energy_axis(axis: Mapping[str, Any], size: int, ev_per_unit: float, path: Path) -> EnergyAxis:
    if "scale" in axis and "offset" in axis:
        return EnergyAxis(
            offset_ev=float(axis["offset"]) * ev_per_unit, step_ev=float(axis["scale"]) * ev_per_unit, size=size
        )
    uniform = uniform_axis(np.asarray(axis["axis"]) * ev_per_unit) if "axis" in axis else None
    if uniform is None:
        raise DataError(f"{path.name} has an uneven energy axis; resample the map to a uniform one")
    return uniform


def _energy_index(signal: Mapping[str, Any]) -> int | None:
    """Which axis is the energy loss, or None where this is no spectrum image."""
    data, axes = signal["data"], signal["axes"]
    if data.ndim != 3 or data.dtype.names is not None or len(axes) != 3:
        return None
    by_unit = [place for place, axis in enumerate(axes) if _unit(axis) in EV_PER]
    if len(by_unit) == 1:
        return by_unit[0]
    # No unit anywhere: a file saved by HyperSpy from a bare array still says which one axis is the signal.
    flagged = [place for place, axis in enumerate(axes) if not axis.get("navigate", True)]
    if not by_unit and len(flagged) == 1 and _unit(axes[flagged[0]]) in ("", "<undefined>"):
        return flagged[0]
    return None


def _preference(signal: Mapping[str, Any]) -> tuple[bool, bool, int, float]:
    """EELS before others, calibrated before not, larger before smaller, core loss before low loss."""
    index = _energy_index(signal)
    axis = signal["axes"][index if index is not None else -1]
    eels = _signal_type(signal).startswith("EELS")
    return eels, _unit(axis) in EV_PER, signal["data"].size, float(axis.get("offset", 0.0))


def _described(signal: Mapping[str, Any]) -> str:
    shape = signal["data"].shape
    energies = [axis for axis in signal["axes"] if _unit(axis) in EV_PER]
    scan_axes = len(shape) - 1
    if energies and scan_axes == 0:
        return f"a single spectrum of {shape[0]} channels"
    if energies and scan_axes == 1:
        return f"a line scan of shape {shape}"
    if len(shape) == 2:
        return f"an image of shape {shape}"
    return f"an array of shape {shape}" + ("" if energies else " without an axis in eV")


def _unit(axis: Mapping[str, Any]) -> str:
    return str(axis.get("units") or "").strip().lower()


def _signal_type(signal: Mapping[str, Any]) -> str:
    return str(signal.get("metadata", {}).get("Signal", {}).get("signal_type") or "")


def _title(signal: Mapping[str, Any], path: Path) -> str:
    return str(signal.get("metadata", {}).get("General", {}).get("title") or path.stem)


def _step_nm(axis: Mapping[str, Any]) -> float | None:
    per_unit = NM_PER.get(_unit(axis))
    step = axis.get("scale")
    return abs(float(step)) * per_unit if per_unit is not None and step is not None else None


def _number(signal: Mapping[str, Any], name: str) -> float | None:
    """A positive number of the HyperSpy metadata tree, else what the reader's mapping says would go there."""
    value = _at(signal.get("metadata", {}), name)
    for source, (target, convert) in signal.get("mapping", {}).items():
        if value is None and target == name:
            raw = _at(signal.get("original_metadata", {}), source)
            value = _converted(raw, convert) if raw is not None else None
    if not isinstance(value, (int, float, np.number)):
        return None
    number = float(value)
    return number if math.isfinite(number) and number > 0 else None  # HyperSpy writes 0.0 for unknown


def _converted(raw: Any, convert: Callable[[Any], Any] | None) -> Any:
    if isinstance(raw, Mapping):  # the reader's functions expect HyperSpy's spelling: "Exposure (s)" is Exposure_s
        raw = {re.sub(r"\W", "", str(key).replace(" ", "_")): value for key, value in raw.items()}
    try:
        return convert(raw) if convert is not None else raw
    except (TypeError, ValueError, KeyError, AttributeError):
        return None  # an odd tag must not make the counts unreadable


def _at(tree: Any, name: str) -> Any:
    for key in name.split("."):
        if not isinstance(tree, Mapping) or key not in tree:
            return None
        tree = tree[key]
    return tree
