"""The 3D-CVAE: a convolutional variational autoencoder of a spectrum image."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from training.convolution import Convolution, Expansion, Readout
from training.model import ROWS, Architecture, Network, for_convolution
from training.rows import framed, rest, within

STRIDES = (4, 3, 5)


class Cvae(Network):
    """3D-CVAE over coarse counts: two layers of 3 x 3 pixels, large steps down the energy axis.

    Beside them each pixel's own spectrum is read linearly: a mixture that few pixels show, as at an interface, is told
    by its counts and not by its neighbours.
    """

    features = (1, 2, 3)
    reach = 2

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture, STRIDES)
        w, latent, left = architecture.widths, architecture.latent, self.lengths[-1]
        # 3 x 3 and 5 apart in layer 2: a fraction of the products of 5 x 3 x 3.
        self.encode_1 = Convolution(1, w[0], (7, 3, 3), (4, 1, 1), (3, 0, 1))
        self.mix = Convolution(w[0], w[0], (1, 3, 3), 1, (0, 0, 1), bias=False)
        self.encode_2 = Convolution(w[0], w[1], (5, 1, 1), (3, 1, 1), (2, 0, 0))
        self.encode_3 = Convolution(w[1], w[2], (5, 1, 1), (5, 1, 1), (2, 0, 0))
        self.collapse = Convolution(w[2], 2 * latent, (left, 1, 1))
        self.own = Readout(self.lengths[0], 2 * latent)
        self.expand = Expansion(latent, w[2], (left, 1, 1))
        self.decode_3 = Expansion(w[2], w[1], (5, 1, 1), (5, 1, 1))
        self.decode_2 = Expansion(w[1], w[0], (5, 1, 1), (3, 1, 1), (1, 0, 0))
        self.decode_1 = Expansion(w[0], 1, (8, 1, 1), (4, 1, 1), (2, 0, 0))

    def down(self, view: Tensor, mask: Tensor, halo: Tensor | None, kept: int) -> Tensor:
        own = self.own(within(view, halo, kept))
        h = self.encode_1(framed(for_convolution(view), halo, kept + 1, axis=ROWS))
        h = F.silu(h) * within(mask, halo, kept + 1, axis=ROWS)
        h = self.mix(framed(h, rest(halo, kept + 1), kept, axis=ROWS))
        h = F.silu(self.encode_2(h))
        return self.collapse(F.silu(self.encode_3(h))) + own

    def up(self, z: Tensor) -> Tensor:
        n = self.lengths
        h = F.silu(self.expand(z))
        h = F.silu(_first(self.decode_3(h), 5 * n[3], n[2]))
        h = F.silu(_first(self.decode_2(h), 3 * n[2], n[1]))
        return _first(self.decode_1(h), 4 * n[1], n[0])


def _first(x: Tensor, there: int, wanted: int) -> Tensor:
    """The first `wanted` energies of `there`; ONNX Runtime would copy them all where none is too many."""
    return x if there == wanted else x[:, :, :wanted]
