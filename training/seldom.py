"""What few strips need: computed always in PyTorch, in the model file only where it is.

The tracing exporter knows no control flow. It writes a choice between both, which the export turns into a branch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

NAME = "seldom"
"""What a module calls its `Seldom`: the export knows the choices by it."""


class Seldom(nn.Module):
    """Takes `values` where `where`, a bool of one element, is true, else `otherwise`."""

    def forward(self, where: Tensor, values: Sequence[Tensor], otherwise: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One of both, tensor by tensor."""
        return tuple(torch.where(where, value, other) for value, other in zip(values, otherwise, strict=True))
