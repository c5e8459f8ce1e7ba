"""Crops of the maps for a training step, made to other doses and thicknesses than they were of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.config import TrainConfig
from training.doses import SUMMED, summed, thinned
from training.plural_scattering import rethickened

MORE_DOSE, LESS_DOSE = 0.2, 0.3
"""Shares of the crops that show four times the dose, and less of it."""
LEAST_DOSE = 0.25
RETHICKENED = 0.4
"""Share of the crops that are made thicker or thinner than they were."""
LEAST_LOSS_EV, MOST_LOSS_EV = 14.0, 28.0
SCATTERED_AGAIN = (-0.2, 0.8)
"""How much of the spectrum after one more loss is added to them. A wider range teaches the network to explain more of a
foreign element away, for all that it is shown some to overlook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMaps:
    """Coarse effective counts (row, column, coarse) of each map and masks (row, column), on the training device."""

    coarse: tuple[Tensor, ...]
    train: tuple[Tensor, ...]
    validate: tuple[Tensor, ...]


def crops(maps: TrainingMaps, coarse_ev: float, config: TrainConfig, dice: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch of crops (batch, row, column, coarse) and masks, mirrored at random; maps are drawn by their size.

    Some are made to less dose by thinning, some to more by adding up pixels, some to another thickness: the network is
    to know them all.
    """
    areas = torch.tensor([m.numel() for m in maps.train], dtype=torch.float32)
    rows = min([config.crop_rows, *(m.shape[0] for m in maps.train)])
    columns = min([config.crop_columns, *(m.shape[1] for m in maps.train)])
    counts, masks = [], []
    for which in torch.multinomial(areas, config.batch, replacement=True, generator=dice).tolist():
        coarse, mask = maps.coarse[which], maps.train[which]
        draw, share, thicker = torch.rand(3, generator=dice).tolist()
        more = draw < MORE_DOSE and mask.shape[0] >= SUMMED * rows and mask.shape[1] >= SUMMED * columns
        height, width = (rows * SUMMED, columns * SUMMED) if more else (rows, columns)
        r = int(torch.randint(mask.shape[0] - height + 1, (), generator=dice))
        c = int(torch.randint(mask.shape[1] - width + 1, (), generator=dice))
        flips = [i for i, flip in enumerate(torch.rand(2, generator=dice).tolist()) if flip < 0.5]
        x, m = coarse[r : r + height, c : c + width].flip(flips), mask[r : r + height, c : c + width].flip(flips)
        if more:
            x, m = summed(x, m)
        elif draw > 1.0 - LESS_DOSE:
            x = thinned(x, LEAST_DOSE**share, dice)
        if thicker < RETHICKENED:
            amount, loss = torch.rand(2, generator=dice).tolist()
            amount = SCATTERED_AGAIN[0] + (SCATTERED_AGAIN[1] - SCATTERED_AGAIN[0]) * amount
            x = rethickened(x, amount, LEAST_LOSS_EV * (MOST_LOSS_EV / LEAST_LOSS_EV) ** loss, coarse_ev, dice)
        counts.append(x * m[..., None])
        masks.append(m)
    return torch.stack(counts), torch.stack(masks)
