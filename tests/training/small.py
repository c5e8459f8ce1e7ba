"""A small film on a substrate, and graphs for it that need no training."""

from dataclasses import replace

import numpy as np
import torch

from monitor.core.axes import EnergyAxis
from monitor.sim.acquisition import acquire
from monitor.sim.scene import scene_named, window_of
from training.config import TrainConfig
from training.data import TrainingMap, TrainingSet, hold_out
from training.model import Architecture
from training.scoring import ScoringGraph

CHANNELS = 120


def small_film(seed, *, anomalous=False, rows=24, columns=28, counts=2e5):
    scene = scene_named("film")
    if not anomalous:
        scene = scene.without_anomalies()
    return acquire(
        replace(scene, rows=rows, columns=columns, energy=window_of(CHANNELS), counts_per_pixel=counts), seed
    )


def training_set(counts, config=None):
    config = config if config is not None else TrainConfig()
    counts = counts.astype(np.float32)
    shares = (config.validation_share, config.calibration_share)
    role = hold_out(counts.shape[:2], np.random.default_rng(config.seed), shares)
    role[~np.isfinite(counts).all(-1)] = 0
    return TrainingSet(
        maps=(TrainingMap(counts=counts, role=role),),
        energy=EnergyAxis(offset_ev=420.0, step_ev=1.0, size=counts.shape[2]),
        title="small film",
        inputs=(),
        notes=(),
    )


def untrained_graph(channels=CHANNELS, mean=None, seed=0, step_ev=1.0):
    torch.manual_seed(seed)
    graph = ScoringGraph(Architecture(channels=channels, step_ev=step_ev, widths=(4, 8, 8), latent=3))
    graph.cvae.row_shift.readout.reset_parameters()  # rows that drift, as those of a trained one
    graph.set_mean(torch.ones(channels) * 100 if mean is None else torch.as_tensor(mean, dtype=torch.float32))
    graph.cvae.usual_total.fill_(1e5)
    return graph.eval()


def scores_of(graph, counts):
    """Outputs (row, column, ...) of one map (row, column, energy) as arrays."""
    with torch.inference_mode():
        return type_of_scores(graph(torch.from_numpy(counts.astype(np.float32))[None]))


def type_of_scores(outputs):
    return type(outputs)(*(output[0].numpy() for output in outputs))


def close(a, b):
    """As the interface means it: to 1e-4 of max(1, |b|), NaN in the same places."""
    same_gaps = np.array_equal(np.isnan(a), np.isnan(b))
    return same_gaps and bool((np.nan_to_num(np.abs(a - b)) <= 1e-4 * np.maximum(1, np.nan_to_num(np.abs(b)))).all())
