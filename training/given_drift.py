"""What the head that reads a row's drift is taught once the network has learned: its map has hardly drifted.

The head alone, and last: a network that is shown spectra out of place, by a drift or by a head that is still learning
to read it, learns to rebuild moved edges.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F

from training.config import TrainConfig
from training.crops import TrainingMaps, crops
from training.model import Network
from training.shift import move, over_row

FURTHEST_EV, FURTHEST = 3.0, 6
"""How far rows are moved, in eV to the nearest channel; in coarse channels at most."""
MOVED = 0.7
"""Share of the rows that are."""
STEPS, RATE = 400, 3e-3


def teach(net: Network, maps: TrainingMaps, config: TrainConfig) -> None:
    """Teach the head to read what rows are moved by, on top of the drift that it reads in them as they are.

    By whole channels, so that counts stay counts; at the border they are repeated.
    """
    dice = torch.Generator().manual_seed(config.seed)
    step_ev, mean = net.architecture.coarse_energy.step_ev, net.log_mean.exp()
    furthest = min(round(FURTHEST_EV / abs(step_ev)), FURTHEST)
    head, before = net.row_shift, copy.deepcopy(net.row_shift)
    optimiser = torch.optim.Adam(head.parameters(), lr=RATE)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        coarse, valid = crops(maps, step_ev, config, dice)
        row, there = over_row(coarse, valid)[:, :, None], (valid.sum(-1, keepdim=True) > 0).to(coarse)
        given = torch.randint(-furthest, furthest + 1, row.shape[:2], generator=dice)
        given = (given * (torch.rand(given.shape, generator=dice) < MOVED)).to(coarse)
        with torch.no_grad():
            wanted = before(row, there, mean) + given
        optimiser.zero_grad(set_to_none=True)
        F.huber_loss(head(move(row, given), there, mean), wanted).backward()
        optimiser.step()
        plan.step()
