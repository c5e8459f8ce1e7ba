"""A finished run -> one ONNX file with its card, checked against PyTorch. All of it or nothing."""

from __future__ import annotations

from pathlib import Path

from export.card import make_card, with_card
from export.parity import check_parity
from export.to_onnx import to_onnx
from monitor.core.errors import UsageError
from monitor.core.model_card import Card
from monitor.files.atomic import replacing
from training.train import load_graph


def export_run(run: Path, output: Path) -> Card:
    """Export the finished run `run` to `output` (.onnx), the card beside it.

    Raises UsageError for another suffix, DataError for a run that is not there or not finished, ModelError where ONNX
    Runtime does not say what PyTorch says; then nothing is written.
    """
    if output.suffix != ".onnx":
        raise UsageError(f"the model is to be written to {output}; wanted a name that ends in .onnx")
    graph, record, outcome = load_graph(run)
    model = to_onnx(graph)
    counts = sum(outcome.calibration.counts_per_pixel) / 2
    parity = check_parity(graph, model, counts_per_pixel=counts)
    card = make_card(record, outcome, model=model, halo_rows=graph.halo_rows, parity=parity)
    with replacing(output) as model_file, replacing(card_path(output)) as card_file:
        model_file.write_bytes(with_card(model, card))
        card_file.write_text(card.to_json() + "\n")
    return card


def card_path(model: Path) -> Path:
    """Where the card of a model file stands: MODEL.card.json beside MODEL.onnx."""
    return model.with_suffix(".card.json")
