"""The results of scoring one map: what `score` writes and what a recorded scan keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.core.errors import DataError
from monitor.core.maps import ROW_MAPS
from monitor.files.atomic import replacing
from monitor.files.hspy_files import scan_axes, write_signal
from monitor.files.spectrum_image import SpectrumImage

DTYPES = {
    "score": "<f4",
    "p_value": "<f4",
    "flag": "?",
    "energy_ev": "<f4",
    "kind": "<i8",
    "label": "|u1",
    "energy_lo_ev": "<f4",
    "energy_hi_ev": "<f4",
    "amount": "<f4",
    "amount_error": "<f4",
    "drift_ev": "<f4",
    "total": "<f4",
}
NEEDED = ("score", "p_value", "flag", "energy_ev", "kind")
CARD_PIECE = 15_000
"""Characters of the card per string: HDF5 holds at most 64 KiB in an attribute, a character up to 4 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreMaps:
    """Maps (row, column); `score` is NaN where a pixel is missing. `card` is the model's card as JSON text.

    score, p_value, energy_ev float32; flag bool; kind int64 (names in the card); total float32, counts per pixel. Maps
    that an earlier version did not write may be None: label uint8 (names in the card), energy_lo_ev to energy_hi_ev
    (the span of the evidence), amount with amount_error (eV or counts: `evidence_units` of the card), and drift_ev
    (row,), float32.
    """

    score: NDArray[np.float32]
    p_value: NDArray[np.float32]
    flag: NDArray[np.bool_]
    energy_ev: NDArray[np.float32]
    kind: NDArray[np.int64]
    card: str
    label: NDArray[np.uint8] | None = None
    energy_lo_ev: NDArray[np.float32] | None = None
    energy_hi_ev: NDArray[np.float32] | None = None
    amount: NDArray[np.float32] | None = None
    amount_error: NDArray[np.float32] | None = None
    drift_ev: NDArray[np.float32] | None = None
    total: NDArray[np.float32] | None = None

    def arrays(self) -> dict[str, NDArray]:
        """The maps by their names in a file, in the types that a file promises."""
        maps = {name: getattr(self, name) for name in DTYPES}
        return {name: np.asarray(values, DTYPES[name]) for name, values in maps.items() if values is not None}


def write_score_maps(path: Path, maps: ScoreMaps, source: SpectrumImage | None = None) -> None:
    """Write `maps` whole or not at all: .npz with one array a map, or .hspy with the score as a Signal2D.

    A .hspy takes the pixel size and title of `source`; its other maps and card lie in original_metadata.eelswatch
    (a long card as a list of pieces, to be joined).
    Raises DataError for another suffix, maps of unlike shapes, or a place that cannot be written to.
    """
    path = Path(path)
    arrays = maps.arrays()
    rows = arrays["score"].shape[:1]
    shapes = {values.shape for name, values in arrays.items() if name not in ROW_MAPS or values.shape != rows}
    if len(shapes) != 1 or arrays["score"].ndim != 2:
        raise DataError(f"score maps have the shapes {sorted(shapes)}; wanted one shape (row, column) for all")
    suffix = path.suffix.lower()
    if suffix == ".npz":
        with replacing(path) as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **arrays, card=np.asarray(maps.card))
    elif suffix == ".hspy":
        with replacing(path) as temporary:
            _write_hspy(temporary, arrays, maps.card, source)
    else:
        raise DataError(f"{path.name} is no format for score maps; wanted .npz or .hspy")


def read_score_maps(path: Path) -> ScoreMaps:
    """The maps in a .npz that `write_score_maps` wrote.

    Raises DataError where the file is missing, is none, or lacks a map.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            there = {name: archive[name] for name in DTYPES if name in archive or name in NEEDED}
            return ScoreMaps(**there, card=str(archive["card"]))
    except FileNotFoundError as fault:
        raise DataError(f"{path} does not exist; wanted score maps (.npz)") from fault
    except KeyError as fault:
        raise DataError(f"{path.name} holds no score maps ({' '.join(str(fault).split())})") from fault
    except Exception as fault:  # a broken archive fails in every way there is
        raise DataError(f"{path.name} is no archive of score maps ({type(fault).__name__}); wanted a .npz") from fault


def _write_hspy(path: Path, arrays: dict[str, NDArray], card: str, source: SpectrumImage | None) -> None:
    kept = {name: values for name, values in arrays.items() if name != "score"}
    pieces = [card[start : start + CARD_PIECE] for start in range(0, len(card), CARD_PIECE)]
    write_signal(
        path,
        data=arrays["score"],
        axes=scan_axes(arrays["score"].shape, source.pixel_nm if source is not None else None, navigate=False),
        title=f"Anomaly score of {source.title}" if source is not None else "Anomaly score",
        signal_type="",
        metadata={},
        original_metadata={"eelswatch": {**kept, "card": pieces[0] if len(pieces) == 1 else pieces}},
    )
