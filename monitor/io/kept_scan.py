"""A recorded scan that has ended, as it comes back from its folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from monitor.core.assembly import ScanArrays
from monitor.core.maps import LiveMaps
from monitor.core.model_card import read_card
from monitor.core.scan import Scan
from monitor.core.scan_record import ScanRecord
from monitor.files.score_maps import ScoreMaps, read_score_maps


def read_kept_scan(folder: Path, record: ScanRecord) -> Scan:
    """The scan with its maps; raises OSError, ValueError, DataError or ModelError where its files cannot be read."""
    arrays = ScanArrays(
        counts=np.load(folder / "counts.npy", mmap_mode="r", allow_pickle=False),
        pixel_seq=np.load(folder / "pixel_seq.npy", mmap_mode="r", allow_pickle=False),
    )
    kept = read_score_maps(folder / "maps.npz")
    card = read_card(kept.card, where=str(folder / "maps.npz"))  # what it was scored by names its kinds and labels
    return Scan(record=record, arrays=arrays, card=card, maps=_maps_of(kept, record), total=kept.total)


def _maps_of(kept: ScoreMaps, record: ScanRecord) -> LiveMaps:
    """The maps of a recorded scan; an earlier monitor has recorded fewer of them."""
    of_old: dict[str, Any] = {"energy_lo_ev": kept.energy_ev, "energy_hi_ev": kept.energy_ev}
    empty, arrays = LiveMaps.empty(record.started.grid), of_old | kept.arrays()
    return dataclasses.replace(empty, **{f.name: arrays[f.name] for f in dataclasses.fields(empty) if f.name in arrays})
