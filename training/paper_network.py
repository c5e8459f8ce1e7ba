"""The paper's network, made convolutional in space: Sultanov et al., Small 21, e2503019 (arXiv 2412.16200).

Kernels along energy and features are the published ones (the features at a width of 32). Where it departs: steps of 2
are taken along energy alone, so that a map of any size and a strip of it can be scored; the dense layers and the
mirrored decoder work on one pixel, where the paper's have a patch of 24 x 24 before them. Input, row shift and softmax
on the mean spectrum are those of `Network`.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from training.convolution import Convolution, Expansion
from training.model import ROWS, Architecture, Network, for_convolution
from training.rows import within


class PaperNetwork(Network):
    """Four convolutions, three of them over 3 x 3 pixels, and a dense layer on either side of the latent."""

    features = (1, 2, 4, 8, 16)
    reach = 3

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture, (2, 2, 2, 2))
        w, latent, left = architecture.widths, architecture.latent, self.lengths[-1]
        by_2 = (2, 1, 1)
        self.encode_1 = Convolution(1, w[0], (7, 1, 1), by_2, (3, 0, 0))
        self.encode_2 = Convolution(w[0], w[1], (5, 3, 3), by_2, (2, 1, 1))
        self.encode_3 = Convolution(w[1], w[2], (3, 3, 3), by_2, (1, 1, 1))
        self.encode_4 = Convolution(w[2], w[3], (3, 3, 3), by_2, (1, 1, 1))
        self.dense = Convolution(w[3], w[4], (left, 1, 1))
        self.collapse = Convolution(w[4], 2 * latent, 1)
        self.spread = Expansion(latent, w[4], 1)
        self.expand = Expansion(w[4], w[3], (left, 1, 1))
        self.decode_4 = Expansion(w[3], w[2], (3, 1, 1), by_2, (1, 0, 0), (1, 0, 0))
        self.decode_3 = Expansion(w[2], w[1], (3, 1, 1), by_2, (1, 0, 0), (1, 0, 0))
        self.decode_2 = Expansion(w[1], w[0], (5, 1, 1), by_2, (2, 0, 0), (1, 0, 0))
        self.decode_1 = Expansion(w[0], 1, (7, 1, 1), by_2, (3, 0, 0), (1, 0, 0))

    def down(self, view: Tensor, mask: Tensor, halo: Tensor | None, kept: int) -> Tensor:
        h = for_convolution(view)
        for layer in (self.encode_1, self.encode_2, self.encode_3):
            h = F.silu(layer(h)) * mask
        h = within(F.silu(self.encode_4(h)), halo, kept, axis=ROWS)
        h = F.silu(self.dense(h))
        return self.collapse(h)

    def up(self, z: Tensor) -> Tensor:
        h = F.silu(self.expand(F.silu(self.spread(z))))
        for layer, length in zip((self.decode_4, self.decode_3, self.decode_2), self.lengths[-2:0:-1], strict=True):
            h = F.silu(layer(h)[:, :, :length])
        return self.decode_1(h)[:, :, : self.lengths[0]]
