"""What a strip leaves to the strip below it, so that no row is looked at or expected twice.

A row's score comes in three stages, each of which needs rows beside it of the stage before. What has come out of a
stage and is needed again is joined to the top of what comes out of it next. Tensors are (batch, row, column, ...).
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from training.rows import LAST
from training.shift import channels_of


class Looked(NamedTuple):
    """Rows after the first stage: `view` what the encoder sees, `coarse` effective counts, 0 where not `valid`.

    `total` (..., 1) of `coarse`, `drift` (batch, row) as the network's head reads it; the rest as in `Labelled`.
    """

    view: Tensor
    coarse: Tensor
    total: Tensor
    valid: Tensor
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
    """What the rows below need of those above, (batch, row, column, ...).

    The wide tensors of each stage as they are, under its names for them; `looked` and `expected` are all others of
    theirs, side by side.
    """

    coarse: Tensor
    view: Tensor
    looked: Tensor
    whitened: Tensor
    numerator: Tensor
    information: Tensor
    share: Tensor
    sigma: Tensor
    expected: Tensor


def joined(above: Carried, below: Rows) -> Rows:
    """Rows carried over and those that follow them."""
    known = above._asdict()
    narrow = {name: _width(each) for name, each in below._asdict().items() if name not in known}
    known |= zip(narrow, known[_stage(below)].split(list(narrow.values()), -1), strict=True)
    return type(below)(
        **{name: torch.cat((_like(each, known[name]), each), 1) for name, each in below._asdict().items()}
    )


def handed_on(rows: Rows, reach: int, early: Tensor) -> dict[str, Tensor]:
    """What a stage that looks `reach` rows up and down needs again, without the last `early` rows; as in `Carried`."""
    stop = torch.where(early > 0, -early, LAST)
    ends = {name: each[:, -early - 2 * reach : stop] for name, each in rows._asdict().items()}
    columns = ends["valid"].shape[2]
    narrow = [_of_pixels(each, columns) for name, each in ends.items() if name not in Carried._fields]
    wide = {name: each for name, each in ends.items() if name in Carried._fields}
    return {**wide, _stage(rows): torch.cat(narrow, -1)}


def _stage(rows: Looked | Expected) -> str:
    return "looked" if isinstance(rows, Looked) else "expected"


def _of_pixels(rows: Tensor, columns: int) -> Tensor:
    """What is known of rows or pixels as floats (batch, row, column, k)."""
    wide = rows if rows.dim() > 2 else rows[..., None].expand(-1, -1, columns)
    return (wide if wide.dim() > 3 else wide[..., None]).float()


def _width(rows: Tensor) -> int:
    return channels_of(rows) if rows.dim() > 3 else 1


def _like(rows: Tensor, part: Tensor) -> Tensor:
    """What was carried of `rows`, in their form and type."""
    if rows.dim() < 4:
        part = part[..., 0] if rows.dim() == 3 else part[:, :, 0, 0]
    return part.to(rows.dtype)
