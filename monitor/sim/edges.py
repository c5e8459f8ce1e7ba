"""Spectral shapes: ionisation edges with white lines, near-edge structure and delayed continua.

Intensities are per eV, relative to a background of 1 at 500 eV. Onsets and splittings follow the EELS Atlas (Ahn and
Krivanek, 1983); the near-edge structure is schematic, right in its positions, widths and ratios.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from scipy.special import erf, voigt_profile

FloatArray = NDArray[np.float64]

FWHM_PER_SIGMA = 2.3548
REFERENCE_EV = 500.0
LOWEST_EV = 30.0
"""Below this a power law is held constant: no core loss lives there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A peak: a Lorentzian of the core hole's lifetime, broadened by the spectrometer. `area` in background x eV."""

    energy_ev: float
    half_width_ev: float
    area: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuum:
    """A step at `onset_ev` that reaches `height` over `rise_ev` (its delay) and falls as E^-3 from there."""

    onset_ev: float
    height: float
    rise_ev: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One ionisation edge of one element in one surrounding."""

    name: str
    lines: tuple[Line, ...]
    continua: tuple[Continuum, ...]

    def spectrum(self, energies_ev: FloatArray, resolution_ev: float) -> FloatArray:
        """Intensity per eV at `energies_ev`, any shape; `resolution_ev` is the full width at half maximum."""
        sigma_ev = resolution_ev / FWHM_PER_SIGMA
        total = np.zeros_like(energies_ev)
        for line in self.lines:
            total += line.area * voigt_profile(energies_ev - line.energy_ev, sigma_ev, line.half_width_ev)
        for continuum in self.continua:
            above = energies_ev - continuum.onset_ev
            step = 0.5 * (1 + erf(above / (np.sqrt(2) * sigma_ev)))
            rise = 1 - np.exp(-np.maximum(above, 0.0) / continuum.rise_ev)
            decay = (np.maximum(energies_ev, continuum.onset_ev) / continuum.onset_ev) ** -3.0
            total += continuum.height * step * rise * decay
        return total


TI_L = Edge(
    name="Ti L",
    lines=(
        Line(energy_ev=456.0, half_width_ev=0.15, area=0.75),
        Line(energy_ev=458.3, half_width_ev=0.35, area=1.25),
        Line(energy_ev=461.6, half_width_ev=0.45, area=0.80),
        Line(energy_ev=463.8, half_width_ev=0.65, area=1.20),
    ),
    continua=(
        Continuum(onset_ev=457.0, height=0.18, rise_ev=6.0),
        Continuum(onset_ev=463.0, height=0.09, rise_ev=6.0),
    ),
)
"""Ti4+ in an octahedron of oxygen: both white lines split into t2g and eg by about 2.3 eV."""

O_K_TITANATE = Edge(
    name="O K (titanate)",
    lines=(
        Line(energy_ev=532.0, half_width_ev=0.5, area=0.45),
        Line(energy_ev=534.6, half_width_ev=1.0, area=0.45),
        Line(energy_ev=537.6, half_width_ev=1.2, area=0.70),
        Line(energy_ev=544.8, half_width_ev=2.6, area=1.60),
        Line(energy_ev=566.0, half_width_ev=8.0, area=2.00),
    ),
    continua=(Continuum(onset_ev=533.0, height=0.42, rise_ev=8.0),),
)

O_K_FERRITE = Edge(
    name="O K (ferrite)",
    lines=(
        Line(energy_ev=531.2, half_width_ev=0.9, area=0.40),
        Line(energy_ev=532.6, half_width_ev=1.0, area=0.35),
        Line(energy_ev=537.0, half_width_ev=2.2, area=1.10),
        Line(energy_ev=543.0, half_width_ev=3.5, area=1.70),
        Line(energy_ev=563.0, half_width_ev=8.0, area=1.60),
    ),
    continua=(Continuum(onset_ev=532.5, height=0.40, rise_ev=8.0),),
)

FE_L = Edge(
    name="Fe L",
    lines=(
        Line(energy_ev=706.6, half_width_ev=0.30, area=0.27),
        Line(energy_ev=708.0, half_width_ev=0.45, area=1.13),
        Line(energy_ev=719.8, half_width_ev=0.70, area=0.22),
        Line(energy_ev=721.0, half_width_ev=0.80, area=0.43),
    ),
    continua=(
        Continuum(onset_ev=709.0, height=0.10, rise_ev=6.0),
        Continuum(onset_ev=722.0, height=0.05, rise_ev=6.0),
    ),
)
"""Fe3+: the weaker t2g line is a shoulder on the low side of both white lines."""

MN_L = Edge(
    name="Mn L",
    lines=(
        Line(energy_ev=640.2, half_width_ev=0.60, area=0.75),
        Line(energy_ev=642.0, half_width_ev=0.70, area=0.95),
        Line(energy_ev=651.2, half_width_ev=1.00, area=0.70),
    ),
    continua=(
        Continuum(onset_ev=641.0, height=0.11, rise_ev=6.0),
        Continuum(onset_ev=652.0, height=0.06, rise_ev=6.0),
    ),
)
"""Mn3+: L3 at 640 to 642 eV, broadened by its multiplets, L2 at 651 eV."""

CR_L = Edge(
    name="Cr L",
    lines=(
        Line(energy_ev=575.0, half_width_ev=0.45, area=1.60),
        Line(energy_ev=584.0, half_width_ev=0.80, area=0.90),
    ),
    continua=(
        Continuum(onset_ev=576.0, height=0.14, rise_ev=6.0),
        Continuum(onset_ev=585.0, height=0.07, rise_ev=6.0),
    ),
)

BI_N = Edge(
    name="Bi N",
    lines=(),
    continua=(
        Continuum(onset_ev=440.0, height=0.10, rise_ev=25.0),
        Continuum(onset_ev=464.0, height=0.08, rise_ev=25.0),
    ),
)
"""Bi N5 and N4: long delayed humps without white lines."""


def power_law(energies_ev: FloatArray, exponent: float) -> FloatArray:
    """The background of everything below, 1 at 500 eV."""
    return (np.maximum(energies_ev, LOWEST_EV) / REFERENCE_EV) ** -exponent


def plasmon(step_ev: float, energy_ev: float = 24.0, width_ev: float = 11.0, reach_ev: float = 90.0) -> FloatArray:
    """The chance per channel of losing 0, step, 2 step ... eV in one plasmon (Drude form), summing to 1."""
    loss = np.arange(0.0, reach_ev, step_ev)
    shape = loss * width_ev * energy_ev**2 / ((loss**2 - energy_ev**2) ** 2 + (loss * width_ev) ** 2)
    return shape / shape.sum()


def with_plasmons(spectrum: FloatArray, step_ev: float) -> FloatArray:
    """`spectrum` (energy,) after none, one and two plasmon losses: shape (3, energy)."""
    loss = plasmon(step_ev)
    once = fftconvolve(spectrum, loss)[: spectrum.size]
    return np.stack([spectrum, once, fftconvolve(once, loss)[: spectrum.size]])
