"""The scoring graph as one ONNX file: names, free sizes, no external data."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch

from training.scoring import Scores, ScoringGraph

OPSET = 18
INPUT = "counts"
EXAMPLE = (2, 3, 4)
"""Batch, rows and columns of the example: all above 1, so that none is specialised away."""


def to_onnx(graph: ScoringGraph) -> bytes:
    """The serialised ONNX model of `graph`, without a card.

    The tracing exporter is used: the graph has no control flow, it writes plain operators and takes two seconds where
    the dynamo exporter takes ten.
    """
    example = torch.full((*EXAMPLE, graph.architecture.channels), 100.0)
    sizes = {0: "batch", 1: "row", 2: "column"}
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # of the tracing exporter's own age, and of a size check inside torch
        file = Path(folder, "model.onnx")
        torch.onnx.export(
            graph.eval(),
            (example,),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(Scores._fields),
            dynamic_axes={**dict.fromkeys((INPUT, *Scores._fields), sizes), "drift": {0: "batch", 1: "row"}},
        )
        return file.read_bytes()
