"""What the page may ask of the running service, and the rows of the maps that it draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.core.views import HealthView, RegionView, RescanView, ScanView

LAYERS = ("score", "p_value", "total", "energy_ev", "label")
"""The float32 maps of a scan that the page draws; NaN where a pixel is missing or not scored yet (label: 0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRows:
    """Rows of a scan's maps that changed since a version; `layers[name]` is float32 [len(rows), columns].

    `version` is what to ask with next time. `drift_ev` is float32 [len(rows)], `provisional` bool [len(rows)]: scores
    to be replaced when more rows are in. `p_threshold` is float32 over all rows of the scan: a pixel is flagged where
    its p-value is at most its row's (0 flags none).
    """

    version: int
    shape: tuple[int, int]
    rows: NDArray[np.int64]
    layers: dict[str, NDArray[np.float32]]
    drift_ev: NDArray[np.float32]
    provisional: NDArray[np.bool_]
    p_threshold: NDArray[np.float32]


class LiveView(Protocol):
    """What the page may ask of the running service. Every call is cheap and made on the service's own event loop."""

    def version(self) -> int:
        """Grows whenever anything below would answer differently (data age and rate apart)."""
        ...

    def health(self) -> HealthView: ...

    def scans(self) -> list[ScanView]:
        """Every scan, newest first."""
        ...

    def regions(self, scan: str) -> list[RegionView]: ...

    def rescans(self) -> list[RescanView]: ...

    def map_rows(self, scan: str, since: int) -> MapRows | None:
        """Rows changed after version `since` (-1: all rows); None for an unknown scan."""
        ...
