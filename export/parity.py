"""Does the exported file say what PyTorch says? On realistic counts, with missing pixels, at other sizes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from export.to_onnx import ABOVE, CARRIED, HALO
from monitor.core.errors import ModelError
from training.labels import LOOK_ROWS
from training.scoring import Scores, ScoringGraph

Outputs = dict[str, NDArray]
"""By name, as in `Scores`."""
LARGEST = 1e-3
"""Largest relative difference |a - b| / max(1, |b|) that an export may show."""
SIZES = ((1, 7, 9), (2, 1, 5), (1, 16, 3))
"""Batch, rows and columns tried; none is the size the graph was traced at."""
TIES = 0.02
"""Share of pixels whose strongest evidence may be another: two filters within rounding of each other."""


def check_parity(graph: ScoringGraph, model: bytes, *, counts_per_pixel: float, seed: int = 0) -> float:
    """Largest relative difference between PyTorch and ONNX Runtime over all outputs.

    Raises ModelError where it is above `LARGEST`, a NaN stands elsewhere, or the peaks differ.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of inputs that have a default
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(seed)
    worst = 0.0
    for size, quiet in product(SIZES, (False, True)):
        counts = _counts(graph, size, counts_per_pixel, rng, quiet=quiet)
        with torch.inference_mode():
            ours = _named(output.numpy() for output in graph(torch.from_numpy(counts)))
        said = [session.run(list(Scores._fields), {"counts": counts})]
        if counts.shape[1] >= 2 * graph.halo_rows:
            said.append(_in_two(session, counts, graph.halo_rows))
        worst = max(worst, *(largest_difference(_named(map(np.asarray, theirs)), ours) for theirs in said))
    if not worst <= LARGEST:
        raise ModelError(
            f"ONNX Runtime differs from PyTorch by {worst:.1e}; wanted at most {LARGEST:.0e}: report this model"
        )
    return worst


def _in_two(session: ort.InferenceSession, counts: NDArray[np.float32], halo: int) -> list[NDArray]:
    """The outputs of `counts`, the lower half of its rows going on from what the upper one leaves; both hold a halo."""
    upper = counts.shape[1] // 2
    outputs = [*Scores._fields, *CARRIED]
    first = [
        np.asarray(each)
        for each in session.run(outputs, {"counts": counts[:, : upper + halo], HALO: np.array([0, halo])})
    ]
    carried = dict(zip(ABOVE, first[len(Scores._fields) :], strict=True))
    below = counts[:, upper + halo - 2 * LOOK_ROWS :]
    second = session.run(outputs[: len(Scores._fields)], {"counts": below, HALO: np.array([halo, 0]), **carried})
    return [np.concatenate((a, np.asarray(b)), 1) for a, b in zip(first, second, strict=False)]


def _counts(
    graph: ScoringGraph, size: tuple[int, int, int], counts_per_pixel: float, rng: np.random.Generator, *, quiet: bool
) -> NDArray[np.float32]:
    """Counts (batch, row, column, energy) of bright and dark pixels of the mean.

    `quiet`: as they are, so that none is suspected; else noisy, with a vacuum and missing pixels.
    """
    gain = float(graph.gain)
    mean = graph.fine_log_mean.exp().cpu().numpy() * counts_per_pixel / gain
    expected = mean * rng.uniform(0.3, 2.0, (*size, 1))
    if quiet:
        return (expected * gain).astype(np.float32)
    counts = rng.poisson(expected).astype(np.float32) * np.float32(gain)
    counts[0, 0, 0] = 0.0
    counts[0, -1, 1] = np.nan
    counts[-1, 0, 2, 3] = np.nan
    return counts


def largest_difference(theirs: Outputs, ours: Outputs) -> float:
    """Relative, over all outputs; infinite where a NaN stands elsewhere or more than `TIES` of the peaks do.

    An amount counts where both are of the same peak.
    """
    tied = (theirs["kind"] != ours["kind"]) | (theirs["energy_index"] != ours["energy_index"])
    tied |= (theirs["span"] != ours["span"]).any(-1)
    if tied.mean() > TIES or (theirs["label"] != ours["label"]).mean() > TIES:
        return np.inf
    theirs = theirs | {"amount": np.where(tied[..., None], ours["amount"], theirs["amount"])}
    return max(_difference(theirs[name], said) for name, said in ours.items() if said.dtype.kind == "f")


def _named(outputs: Iterable[NDArray]) -> Outputs:
    return dict(zip(Scores._fields, outputs, strict=True))


def _difference(theirs: NDArray, ours: NDArray) -> float:
    if not np.array_equal(np.isnan(theirs), np.isnan(ours)):
        return np.inf
    return float(np.nanmax(np.abs(theirs - ours) / np.maximum(1.0, np.abs(ours)), initial=0.0))
