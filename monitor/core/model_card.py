"""What an exported model promises: the JSON under `eelswatch.card`, schema eelswatch.card/1."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.core.axes import EnergyAxis
from monitor.core.calibration import Calibration
from monitor.core.errors import ModelError

METADATA_KEY = "eelswatch.card"
WHOLE_ROW = 4096
"""Halo in columns of a score that reads its whole row (the widest scan the stream allows)."""


class Noise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Detector noise: variance = floor + gain x expected + over_dispersion x expected^2, in counts^2.

    `channel_correlation` is that of neighbouring channels' residuals, `correlation` that at lags of 1, 2, ... channels.
    """

    gain: float
    channel_correlation: float
    correlation: list[float] = []
    floor: float = 0.0
    over_dispersion: float = 0.0

    def variance(self, expected: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the counts where `expected` counts are expected, in counts^2."""
        return self.floor + self.gain * expected + self.over_dispersion * expected**2


class TrainingInput(msgspec.Struct, frozen=True, kw_only=True):
    """One file the model has learned from."""

    name: str
    sha256: str


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """How the model came about, enough to repeat it."""

    inputs: list[TrainingInput]
    config: dict[str, bool | int | float | str | None]
    seed: int
    versions: dict[str, str]
    losses: dict[str, float]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """The card of one model. `halo` is (rows, columns): how far a score looks.

    `labels` name what a pixel is apart from its score ("": nothing to say), `evidence_units` what the amount of each
    family of `evidence` is in, "eV" or "counts". Both are empty in a model that gives neither.
    """

    schema: Literal["eelswatch.card/1"] = "eelswatch.card/1"
    created: str
    title: str
    energy: EnergyAxis
    halo: Annotated[tuple[int, int], msgspec.Meta(description="rows, columns")]
    evidence: list[str]
    calibration: Calibration
    noise: Noise
    training: Training
    parity: float
    sha256: str
    labels: list[str] = []
    evidence_units: list[str] = []

    def label(self, index: int) -> str | None:
        """The label of that number, None where it says nothing."""
        return self.labels[index] or None if 0 <= index < len(self.labels) else None

    def family(self, kind: int) -> str | None:
        """The family of evidence of that number, None where there is none."""
        return self.evidence[kind] if 0 <= kind < len(self.evidence) else None

    def unit(self, kind: int) -> str | None:
        """What the amount of that family is in, "eV" or "counts"; None where the model gives no amounts."""
        return self.evidence_units[kind] if 0 <= kind < len(self.evidence_units) else None

    def to_json(self) -> str:
        """The card as indented JSON text."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()


def read_card(text: str | None, *, where: str) -> Card:
    """Parse the card found in `where` (a file's name, for the message).

    Raises ModelError where there is none or it is not valid.
    """
    if text is None:
        raise ModelError(f"{where} carries no model card ({METADATA_KEY}); make the model with 'eelswatch export'")
    try:
        return msgspec.json.decode(text, type=Card)
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise ModelError(f"the model card of {where} is not valid ({fault}); export the model again") from fault
