"""The training loop: AdamW on a one-cycle plan, checkpoints, early stopping.

Its clock is a function handed in (seconds, monotonic); it decides only when to write a checkpoint.
A run that was cut off and goes on ends in the same weights as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from monitor.core.errors import DataError
from training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from training.config import TrainConfig
from training.crops import TrainingMaps, crops
from training.doses import thinned
from training.edge_shapes import every_edge
from training.foreign import with_foreign
from training.loss import Loss, chi2_per_dof, likelihood, loss_named
from training.model import Network
from training.scoring import ScoringGraph

SEEN = 0.8
"""Share of a crop's counts that the network sees; what it is to expect are the others, whose noise it does not know."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the run's history; losses are per effective count.

    `chi2_per_dof` and `validation` are of held-out blocks.
    """

    step: int
    loss: float
    divergence: float
    chi2_per_dof: float
    validation: float


def fit(
    graph: ScoringGraph,
    maps: TrainingMaps,
    config: TrainConfig,
    *,
    checkpoint: Path | None = None,
    report: Callable[[Progress, float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    stop_after: int | None = None,
) -> list[Progress]:
    """Train `graph.cvae` in place, leave the best validated weights in it, return the history.

    Goes on from `checkpoint` where there is one. `report` is called with the latest progress and the seconds left;
    `stop_after` ends the call early at that step, its checkpoint written, as an interruption would.
    Raises DataError where the loss is no number: nothing can be learned from such data.
    """
    net = graph.cvae
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=config.steps + 1)
    dice = torch.Generator().manual_seed(config.seed)
    edges = every_edge(net.architecture.coarse_energy)[0].to(maps.coarse[0])
    state = Checkpoint(step=0, best=float("inf"), stale=0, history=[], best_weights=_weights(net))
    if checkpoint is not None and checkpoint.exists():
        state = read_checkpoint(checkpoint, net, optimiser, plan, dice, history_type=Progress)
    started, first, saved = clock(), state.step, clock()
    step = state.step
    while step < config.steps and state.stale < config.patience:
        loss = _step(net, maps, edges, config, optimiser, plan, dice)
        step += 1
        state.step = step
        if step % config.validate_every == 0 or step == config.steps:
            _validate(net, maps, state, loss)
            if report is not None:
                left = (config.steps - step) * (clock() - started) / (step - first)
                report(state.history[-1], left)
        if checkpoint is not None and (clock() - saved > config.checkpoint_s or step == stop_after):
            write_checkpoint(checkpoint, state, net, optimiser, plan, dice)
            saved = clock()
        if step == stop_after:
            return state.history
    net.load_state_dict(state.best_weights)
    return state.history


def _step(
    net: Network,
    maps: TrainingMaps,
    edges: Tensor,
    config: TrainConfig,
    optimiser: torch.optim.Optimizer,
    plan: torch.optim.lr_scheduler.LRScheduler,
    dice: torch.Generator,
) -> Loss:
    coarse, valid = crops(maps, net.architecture.coarse_energy.step_ev, config, dice)
    noise = torch.randn(coarse.shape[0], config.latent, 1, *coarse.shape[1:3], generator=dice).to(coarse.device)
    net.train()
    seen = thinned(coarse, SEEN, dice)
    others = (coarse - seen) / (1.0 - SEEN)
    normal = net(with_foreign(seen, valid, edges, dice), valid, noise)
    loss = loss_named(config.loss, others, valid, normal, beta=config.beta)
    optimiser.zero_grad(set_to_none=True)
    loss.total.backward()
    norm = nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    if torch.isfinite(norm):
        optimiser.step()
    plan.step()
    return loss


@torch.no_grad()
def _validate(net: nn.Module, maps: TrainingMaps, state: Checkpoint, loss: Loss) -> None:
    """Likelihood of the held-out blocks, seen with their neighbours as they would come in live.

    Whatever the loss: runs are compared by one measure, and the best weights are those that explain the counts.
    """
    net.eval()
    total, counts, chi2, pixels = 0.0, 0.0, 0.0, 0.0
    for coarse, train, held in zip(maps.coarse, maps.train, maps.validate, strict=True):
        seen = torch.clamp(train + held, max=1.0)
        normal = net((coarse * seen[..., None])[None], seen[None])
        weight = float((coarse * held[..., None]).sum())
        total += float(likelihood(coarse[None], held[None], normal.share)) * weight
        chi2 += float(chi2_per_dof(coarse[None], held[None], normal.share)) * float(held.sum())
        counts, pixels = counts + weight, pixels + float(held.sum())
    validation = total / max(counts, 1.0)
    if validation != validation:
        raise DataError(
            "the loss is not a number; the counts cannot be learned from: look at them with 'eelswatch inspect'"
        )
    better = validation < state.best
    state.best, state.stale = (validation, 0) if better else (state.best, state.stale + 1)
    if better:
        state.best_weights = _weights(net)
    state.history.append(
        Progress(
            step=state.step,
            loss=float(loss.total),
            divergence=float(loss.divergence),
            chi2_per_dof=chi2 / max(pixels, 1.0),
            validation=validation,
        )
    )


def _weights(net: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in net.state_dict().items()}
