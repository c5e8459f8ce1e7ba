"""Edges that are looked for, an element too many or too few: its counts over energy, and the channel it is about.

Anywhere a short edge, as near-edge structure is; and at the onset of each element's major edge a long one of that
shell's own shape, because only its white lines tell such a wide change apart in energy.
"""

from __future__ import annotations

import torch
from torch import Tensor

from monitor.core.axes import EnergyAxis
from monitor.core.edges import ONSETS_EV
from training.filters import Filters, unit

RISE_EV = 0.8
SHORT_EV, APART_EV = 20.0, 4.0
"""Over how many eV an edge that may be anywhere falls off, and how far apart it is looked for."""
LENGTH = 2.5
"""Decay lengths after which an edge is cut off."""
DECAY_EV = 250.0
"""Over how many eV an element's edge falls off."""
LINE_EV = 1.3
"""Standard deviation of a white line, wide enough for a chemical shift."""
LINES = {"L": (1.0, 0.5), "M": (2.0, 1.5)}
"""Height of the two white lines of a shell over its continuum."""
DELAY_EV = {"K": 15.0, "L": 15.0, "M": 0.0}
"""Over how many eV the continuum of a shell rises."""
SPLIT_EV = {"L": 10.0, "M": 15.0}
"""Between the two lines, where the table has no second one."""
SHARP_M_EV = 720.0
"""M4,5 edges have white lines from barium or caesium on."""
NAMED = ("K", "L3", "L2,3", "M5")
ROOM_EV = 5.0
"""Of the axis that must lie above an onset."""
BELOW_EV, ABOVE_EV = (25.0, 3.0), 20.0
LEAST_JUMP = 0.03
"""By which a spectrum must rise above an onset, beyond what its fall below it leads to, to have that edge."""


def every_edge(energy: EnergyAxis) -> Filters:
    """All edges on an axis: unit columns (channel, filter), the channel each is about, its half width in channels."""
    anywhere, elements = _anywhere(energy), _elements(energy)
    shapes, about_ev, half_ev = (torch.cat(parts, -1) for parts in zip(anywhere, elements, strict=True))
    step_ev = abs(energy.step_ev)
    at = ((about_ev - energy.offset_ev) / energy.step_ev).round().long().clamp(0, energy.size - 1)
    return unit(shapes), at, (half_ev / step_ev).round().long()


def may_be_too_few(energy: EnergyAxis, spectra: Tensor) -> Tensor:
    """1 or 0 for each edge (filter,): of what no spectrum (spectrum, channel) has, there cannot be too little."""
    e = _energies(energy)
    there = [1.0] * len(_onsets_anywhere(energy))
    for _, onset in named_edges(energy):
        below = (e > onset - BELOW_EV[0]) & (e < onset - BELOW_EV[1])
        above = (e > onset) & (e < onset + ABOVE_EV)
        if int(below.sum()) < 2:
            there.append(1.0)
            continue
        # what the fall below the onset leads to above it
        x = e - onset
        slope = torch.linalg.lstsq(
            torch.stack((torch.ones_like(x), x), 1)[below], spectra.T[below].clamp_min(1e-12).log()
        )
        led_to = (slope.solution[0] + slope.solution[1] * x[above].mean()).exp()
        there.append(float((spectra[:, above].mean(1) > (1.0 + LEAST_JUMP) * led_to).any()))
    return torch.tensor(there)


def named_edges(energy: EnergyAxis) -> list[tuple[str, float]]:
    """Name and onset in eV of the edges on the axis that have a shape of their own."""
    return [
        (name, onset)
        for name, onset in ONSETS_EV.items()
        if energy.lo_ev <= onset <= energy.hi_ev - ROOM_EV
        and name.split()[1] in NAMED
        and (name.split()[1] != "M5" or onset > SHARP_M_EV)
    ]


def _onsets_anywhere(energy: EnergyAxis) -> Tensor:
    room = energy.hi_ev - energy.lo_ev - APART_EV
    return energy.lo_ev + abs(energy.step_ev) / 2 + torch.arange(0.0, max(room, APART_EV), APART_EV)


def _anywhere(energy: EnergyAxis) -> tuple[Tensor, Tensor, Tensor]:
    onset = _onsets_anywhere(energy)
    ev = _energies(energy)[:, None] - onset
    within = (ev > -6 * RISE_EV) & (ev < LENGTH * SHORT_EV)
    return _edge(ev, SHORT_EV) * within, onset + 2 * RISE_EV, torch.full_like(onset, 0.5 * SHORT_EV)


def _elements(energy: EnergyAxis) -> tuple[Tensor, Tensor, Tensor]:
    e, width = _energies(energy), max(LINE_EV, 0.7 * abs(energy.step_ev))
    shapes, about = [torch.empty(energy.size, 0)], []
    for name, onset in named_edges(energy):
        element, shell = name.split()
        kind = shell[0]
        ev = e - onset
        shape = _edge(ev, DECAY_EV)
        if DELAY_EV[kind] > 0:
            shape = shape * (1.0 - torch.exp(-ev.clamp_min(0.0) / DELAY_EV[kind]))
        if shell in ("L3", "M5"):
            second = ONSETS_EV.get(f"{element} {'L2' if kind == 'L' else 'M4'}", onset + SPLIT_EV[kind])
            for at, height in zip((onset, second), LINES[kind], strict=True):
                shape = shape + height * torch.exp(-0.5 * ((e - at - RISE_EV / 2) / width) ** 2)
        shapes.append(shape[:, None])
        about.append(onset + RISE_EV / 2 + (DELAY_EV[kind] / 2 if shell in ("K", "L2,3") else 0.0))
    return torch.cat(shapes, 1), torch.tensor(about), torch.full((len(about),), 2 * ROOM_EV)


def _edge(ev: Tensor, decay_ev: float) -> Tensor:
    """An edge that rises at 0 eV and falls off, at `ev` above its onset."""
    return torch.sigmoid(ev / RISE_EV) * torch.exp(-ev.clamp_min(0.0) / decay_ev)


def _energies(energy: EnergyAxis) -> Tensor:
    return torch.from_numpy(energy.energies_ev()).float()
