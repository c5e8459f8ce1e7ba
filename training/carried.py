"""What a strip leaves to the strip below it, so that no row is looked at or expected twice.

A row's score comes in three stages, each of which needs rows beside it of the stage before. What has come out of a
stage and is needed again is joined to the top of what comes out of it next. Tensors are (batch, row, column, ...).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from training.rows import LAST


class Looked(NamedTuple):
    """Rows after the first stage: `coarse` effective counts, 0 where not `valid`, `view` what the encoder sees.

    `drift` (batch, row) as the network's head reads it; `label`, `channel`, `excess` as in `Labelled`.
    """

    coarse: Tensor
    valid: Tensor
    view: Tensor
    drift: Tensor
    label: Tensor
    channel: Tensor
    excess: Tensor


class Expected(NamedTuple):
    """Rows after the second stage: each pixel's own evidence, and what was expected of it.

    `whitened` residual, `numerator` and `information` of each moved edge; `share` of its `total` (..., 1) effective
    counts, their standard deviation `sigma`; `drift` (batch, row) in coarse channels; the rest as in `Looked`.
    """

    whitened: Tensor
    numerator: Tensor
    information: Tensor
    valid: Tensor
    share: Tensor
    total: Tensor
    sigma: Tensor
    latent: Tensor
    drift: Tensor
    label: Tensor
    channel: Tensor
    excess: Tensor


Rows = TypeVar("Rows", Looked, Expected)


class Carried(NamedTuple):
    """What the rows below need of those above; no rows where nothing is carried."""

    looked: Looked
    expected: Expected

    @classmethod
    def of(cls, tensors: Iterable[Tensor]) -> Carried:
        """From its tensors, one after the other."""
        each = list(tensors)
        return cls(Looked(*each[: len(Looked._fields)]), Expected(*each[len(Looked._fields) :]))

    def tensors(self) -> list[Tensor]:
        """One after the other."""
        return [*self.looked, *self.expected]


def names(prefix: str) -> list[str]:
    """Of the tensors, as the model file has them."""
    stages = {"looked": Looked, "expected": Expected}
    return [f"{prefix}_{stage}_{field}" for stage, rows in stages.items() for field in rows._fields]


def joined(above: Rows, below: Rows) -> Rows:
    """Rows carried over and those that follow them."""
    return type(below)(*(torch.cat(pair, 1) for pair in zip(above, below, strict=True)))


def left(rows: Rows, reach: int, early: Tensor) -> Rows:
    """What a stage that looks `reach` rows up and down needs again, without the last `early` rows."""
    stop = torch.where(early > 0, -early, LAST)
    return type(rows)(*(each[:, -early - 2 * reach : stop] for each in rows))
