"""What others make of a map, for a comparison of pace: functions that score counts (row, column, energy).

They are found by the entry points "eelswatch.rivals" and raise ImportError where what they need is not installed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.evaluation.subspace import robust_pca
from training.model import Architecture
from training.paper_network import PaperNetwork

PUBLISHED_WIDTH = 32
ORPCA_RANK = 5


def paper_network(counts: NDArray[Any]) -> NDArray[np.float32]:
    """Squared error of the paper's network at its published width, PyTorch on all cores; (row, column)."""
    channels = counts.shape[-1]
    widths = tuple(PUBLISHED_WIDTH * factor for factor in PaperNetwork.features)
    network = PaperNetwork(
        Architecture(channels=channels, coarse_limit=channels, network="paper", widths=widths)
    ).eval()
    coarse = torch.from_numpy(counts.astype(np.float32))[None]
    with torch.inference_mode():
        share = network(coarse, torch.ones(coarse.shape[:3])).share
        error = (coarse - share * coarse.sum(-1, keepdim=True)).square().sum(-1)
    return error[0].numpy()


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
