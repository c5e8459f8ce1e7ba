"""What others make of a map, for a comparison of pace: functions that score counts (row, column, energy).

They are found by the entry points "eelswatch.rivals" and raise ImportError where what they need is not installed.
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.evaluation.subspace import robust_pca

PATCH, LATENT, DENSE = 24, 48, 512
TOGETHER = 4
"""Patches of a batch. On two cores of an Intel Xeon, at 240 channels, the network took half as long again with one at
once, and a quarter more with 16."""
STEPS = 16
"""Channels that become one on the way down the paper's network; a spectrum is filled up to a multiple."""
ORPCA_RANK = 5


def paper_network(counts: NDArray[Any]) -> NDArray[np.float32]:
    """Squared error of the paper's network, as published, PyTorch on all cores, patch by patch; (row, column)."""
    return _error_of_network(counts, at_once=1)


def paper_network_in_batches(counts: NDArray[Any]) -> NDArray[np.float32]:
    """As `paper_network`, several patches at once."""
    return _error_of_network(counts, at_once=TOGETHER)


def _error_of_network(counts: NDArray[Any], *, at_once: int) -> NDArray[np.float32]:
    """It takes patches of 24 x 24 pixels, side by side; a map of another size is filled up with 0."""
    rows, columns = counts.shape[:2]
    more = [(0, -size % unit) for size, unit in zip(counts.shape, (PATCH, PATCH, STEPS), strict=True)]
    filled = torch.from_numpy(np.pad(counts, more).astype(np.float32))
    network = _as_published(filled.shape[-1])
    patches = filled.unfold(0, PATCH, PATCH).unfold(1, PATCH, PATCH).permute(0, 1, 3, 4, 2)
    errors = []
    with torch.inference_mode():
        for batch in (batch for row in patches for batch in row.split(at_once)):
            share = network(batch[:, None])[:, 0].softmax(-1)
            errors.append((batch - share * batch.sum(-1, keepdim=True)).square().sum(-1))
    error = torch.cat(errors).unflatten(0, patches.shape[:2]).transpose(1, 2)
    return error.reshape(filled.shape[:2])[:rows, :columns].numpy()


@cache
def _as_published(channels: int) -> nn.Sequential:
    """Kernels, steps and widths of Sultanov et al. on patches (patch, 1, row, column, energy), with random weights.

    The decoder mirrors the encoder; of the latent the mean alone goes on. Kept, since making it takes seconds.
    """
    inner = 256, PATCH // 4, PATCH // 4, channels // STEPS
    size = prod(inner)
    layers = (
        (1, 32, (1, 1, 7), (1, 1, 2), (0, 0, 3), (0, 0, 1)),
        (32, 64, (3, 3, 5), (1, 1, 2), (1, 1, 2), (0, 0, 1)),
        (64, 128, (3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1)),
        (128, 256, (3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1)),
    )
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for before, after, kernel, step, half, left in layers:
        down += [nn.Conv3d(before, after, kernel, step, half), nn.ReLU()]
        up = [nn.ReLU(), nn.ConvTranspose3d(after, before, kernel, step, half, left), *up]
    middle = [nn.Flatten(), nn.Linear(size, DENSE), nn.ReLU(), nn.Linear(DENSE, LATENT)]
    back = [nn.Linear(LATENT, DENSE), nn.ReLU(), nn.Linear(DENSE, size), nn.Unflatten(1, inner)]
    return nn.Sequential(*down, *middle, *back, *up).eval()


def online_robust_pca(counts: NDArray[Any]) -> NDArray[np.float32]:
    """Squared error beside the subspace that HyperSpy's ORPCA finds while it sees each spectrum once; (row, column)."""
    spectra = counts.reshape(-1, counts.shape[-1]).astype(np.float32)
    space = robust_pca(spectra, ORPCA_RANK)
    error = np.square(spectra - space.rebuilt(spectra)).sum(-1)
    return error.reshape(counts.shape[:2]).astype(np.float32)


def libertem_sum(counts: NDArray[Any]) -> NDArray[np.float32]:
    """Total counts of each pixel by LiberTEM: what reading and adding up alone costs there; (row, column)."""
    from libertem.api import Context  # pyright: ignore[reportMissingImports]
    from libertem.udf.sumsigudf import SumSigUDF  # pyright: ignore[reportMissingImports]

    context = Context.make_with("inline")
    data = context.load("memory", data=np.ascontiguousarray(counts)[..., None, :], sig_dims=2)
    return np.asarray(context.run_udf(dataset=data, udf=SumSigUDF())["intensity"].data, np.float32)
