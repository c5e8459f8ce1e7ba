"""What an exported model promises: the JSON under `eelswatch.card`, schema eelswatch.card/1."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from monitor.core.axes import EnergyAxis
from monitor.core.calibration import Calibration
from monitor.core.errors import ModelError

METADATA_KEY = "eelswatch.card"
WHOLE_ROW = 4096
"""Halo in columns of a score that reads its whole row (the widest scan the stream allows)."""


class Noise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Detector noise: variance = gain x expected counts; correlation of neighbouring channels' residuals."""

    gain: float
    channel_correlation: float


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
    """The card of one model. `halo` is (rows, columns): how far a score looks."""

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
