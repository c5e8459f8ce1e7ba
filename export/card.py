"""The card of an exported model, from the run it came of, and its place inside the file."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version

from monitor.core.model_card import METADATA_KEY, WHOLE_ROW, Card, Training
from monitor.core.model_file import graph_sha256, metadata_entry
from training.families import EVIDENCE, UNITS
from training.labels import LABELS
from training.run import Outcome, RunRecord


def make_card(record: RunRecord, outcome: Outcome, *, model: bytes, halo_rows: int, parity: float) -> Card:
    """The card of `model` (serialised ONNX) exported from a finished run; `halo_rows` of its graph."""
    return Card(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        title=record.title,
        energy=record.energy,
        halo=(halo_rows, WHOLE_ROW),
        evidence=list(EVIDENCE),
        evidence_units=list(UNITS),
        labels=list(LABELS),
        calibration=outcome.calibration,
        noise=outcome.noise,
        training=Training(
            inputs=record.inputs,
            config=record.config,
            seed=int(record.config["seed"] or 0),
            versions={**outcome.versions, "onnx": version("onnx")},
            losses=outcome.losses,
        ),
        parity=parity,
        sha256=graph_sha256(model),
    )


def with_card(model: bytes, card: Card) -> bytes:
    """The model file's bytes with the card in its metadata; the graph's bytes stay as they are."""
    return model + metadata_entry(METADATA_KEY, card.to_json())
