"""What few strips need: computed always in PyTorch, in the model file only where it is.

The tracing exporter knows no control flow. It leaves a mark for each value, which the export turns into a branch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MARK = "eelswatch::Seldom"


def seldom(where: Tensor, values: Sequence[Tensor], otherwise: Sequence[Tensor]) -> list[Tensor]:
    """The `values`; these must be `otherwise` where `where`, a bool of one element, is false."""
    return [_Marked.apply(where, value, other) for value, other in zip(values, otherwise, strict=True)]


class _Marked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, where: Tensor, value: Tensor, otherwise: Tensor) -> Tensor:
        return value

    @staticmethod
    def symbolic(g: torch.Graph, where: torch.Value, value: torch.Value, otherwise: torch.Value) -> torch.Value:
        kind = torch.onnx.JitScalarType.from_value(value).onnx_type()
        return g.op(MARK, where, value, otherwise, kind_i=kind).setType(value.type())
