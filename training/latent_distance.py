"""How far a pixel's latent lies from those of clean pixels: Mahalanobis distance to the nearest of some clusters.

What the network can rebuild leaves no residual, normal or not; it then shows here. Tensors are (batch, row, column, k).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor, nn

CLUSTERS = 6
LEAST_SHARE = 0.08
"""Of the pixels that a cluster must hold; fewer may be the anomalies themselves."""
TRIMMED = 0.95
"""Share of a cluster, nearest first, that its covariance is taken from."""


class LatentDistance(nn.Module):
    """`axes` (latent, cluster x latent) and `origin` (cluster x latent) whiten a latent for each cluster.

    `response` (latent, channel): change of the whitened expected spectrum with each latent, straight line through all.
    """

    axes: Tensor
    origin: Tensor
    centres: Tensor
    response: Tensor
    blocks: Tensor

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("axes", torch.eye(latent).repeat(1, CLUSTERS))
        self.register_buffer("origin", torch.zeros(CLUSTERS * latent))
        self.register_buffer("centres", torch.zeros(CLUSTERS, latent))
        self.register_buffer("response", torch.zeros(latent, channels))
        self.register_buffer("blocks", torch.eye(CLUSTERS).repeat_interleave(latent, 0), persistent=False)

    def learn(self, latent: Tensor, share: Tensor) -> None:
        """Take the clusters from latents (pixel, latent), the response from the shares (pixel, channel) they gave."""
        z = latent.double().numpy()
        scale = z.std(0) + 1e-6
        _, label = kmeans2(z / scale, CLUSTERS, minit="++", rng=np.random.default_rng(0), missing="warn")
        sizes = np.bincount(label, minlength=CLUSTERS)
        large = np.flatnonzero(sizes >= LEAST_SHARE * len(z))
        ranked = large[np.argsort(-sizes[large])] if large.size else np.array([int(sizes.argmax())])
        for place in range(CLUSTERS):
            axes, centre = _whitening(z[label == ranked[place % len(ranked)]], scale)
            columns = slice(place * z.shape[1], (place + 1) * z.shape[1])
            self.axes[:, columns] = torch.from_numpy(axes).float()
            self.origin[columns] = torch.from_numpy(centre @ axes).float()
            self.centres[place] = torch.from_numpy(centre).float()
        mean = share.mean(0)
        y = ((share - mean) / mean.clamp_min(1e-9).sqrt()).double()
        x = torch.from_numpy(z - z.mean(0))
        ridge = 1e-6 * (x.T @ x).diagonal().mean().clamp_min(1e-12) * torch.eye(x.shape[1], dtype=x.dtype)
        self.response.copy_(torch.linalg.solve(x.T @ x + ridge, x.T @ y).float())

    def spectra(self, latent: Tensor, share: Tensor) -> Tensor:
        """Mean share (cluster, channel) of the pixels (pixel, ...) in each cluster that holds any."""
        nearest = self._squared(latent).argmin(-1)
        return torch.stack([share[nearest == k].mean(0) for k in range(CLUSTERS) if (nearest == k).any()])

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Distance (batch, row, column) and the channel that the least usual latent changes most."""
        squared = self._squared(latent)
        unusual = (latent - self.centres[squared.argmin(-1)]).abs() * self.response.norm(dim=1)
        return squared.amin(-1).sqrt(), self.response.abs().argmax(1)[unusual.argmax(-1)]

    def _squared(self, latent: Tensor) -> Tensor:
        apart = latent @ self.axes - self.origin
        return (apart * apart) @ self.blocks


def _whitening(z: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrix W and centre so that (z - centre) W has unit covariance over the cluster's inner part."""
    kept = z
    for _ in range(3):
        centre = np.median(kept, 0)
        covariance = np.cov(kept - centre, rowvar=False).reshape(z.shape[1], -1) + np.diag((1e-2 * scale) ** 2)
        values, vectors = np.linalg.eigh(covariance)
        w = vectors / np.sqrt(values)
        distance = (((z - centre) @ w) ** 2).sum(1)
        kept = z[distance <= np.quantile(distance, TRIMMED)]
    return w, centre
