"""`eelswatch inspect`: axes, counts, noise, spikes and bad channels of a file, and what to watch out for.

Raises DataError where the file holds no spectrum image.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from monitor.core.inspection import FEW_COUNTS, FEW_PIXELS, Inspection, inspect_counts
from monitor.core.noise import NoiseEstimate
from monitor.files.spectrum_image import SpectrumImage, read_spectrum_image

T = TypeVar("T")

SHOWN = 5
"""Spikes and bad channels named one by one in a sentence."""


def inspect(
    *,
    file: Annotated[Path, typer.Argument(help="A spectrum image: .dm3, .dm4, .hspy, .emd, .nxs, .npz or .npy.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only what to watch out for.")] = False,
) -> None:
    """Look at a spectrum image before trusting it."""
    image = read_spectrum_image(file)
    found = inspect_counts(image.counts, image.energy)
    warnings = watch_out(image, found)
    if as_json:
        typer.echo(_as_json(file, image, found, warnings))
        return
    console = Console(highlight=False, markup=False)
    if not quiet:
        console.print(_table(file, image, found))
    for sentence in warnings:
        console.print(f"- {sentence}")


def watch_out(image: SpectrumImage, found: Inspection) -> list[str]:
    """One plain sentence for each thing that could mislead, what was assumed while reading first."""
    return [*image.notes, *_counts_warnings(image, found), *_detector_warnings(found)]


def _counts_warnings(image: SpectrumImage, found: Inspection) -> list[str]:
    counts, sentences = found.counts, list[str]()
    pixels = image.counts.shape[0] * image.counts.shape[1]
    if pixels < FEW_PIXELS:
        sentences.append(f"{pixels} pixels are few to learn from: expect a coarse model and few sure flags.")
    if counts.median_per_pixel < FEW_COUNTS:
        sentences.append(
            f"{counts.median_per_pixel:.3g} counts per pixel are few: only large changes can be told from noise."
        )
    if counts.non_finite:
        sentences.append(f"{counts.non_finite} values are NaN or infinite: mend them before training or scoring.")
    if counts.negative:
        sentences.append(f"{counts.negative} counts are negative: dark-subtracted data, or an offset in the file.")
    if counts.saturated:
        sentences.append(f"{counts.saturated} values stand at the top of {image.counts.dtype}: saturated.")
    if counts.dark_pixels:
        sentences.append(f"{counts.dark_pixels} of {pixels} pixels are dark: vacuum, or a blanked beam.")
    if found.zero_loss_ev is not None:
        low, high = found.zero_loss_ev
        sentences.append(
            f"The zero-loss peak is in range and stands between {low:.1f} and {high:.1f} eV: "
            "a low-loss map; align it before comparing energies."
        )
    return sentences


def _detector_warnings(found: Inspection) -> list[str]:
    noise, sentences = found.noise, list[str]()
    if noise is None:
        sentences.append("The noise cannot be estimated: too few spectra with counts.")
    elif not 0.9 <= noise.gain <= 1.1 or abs(noise.channel_correlation) > 0.05 or noise.floor + noise.over_dispersion:
        sentences.append(
            f"The noise is not Poisson: the variance is {_variance(noise)} and neighbouring channels "
            f"correlate {noise.channel_correlation:.2f}."
        )
    if found.spikes:
        named = "; ".join(f"({s.row}, {s.column}) at {s.energy_ev:.1f} eV" for s in found.spikes[:SHOWN])
        sentences.append(f"{_number(len(found.spikes), 'X-ray spike')}, (row, column): {named}{_more(found.spikes)}.")
    if found.bad_channels:
        named = "; ".join(f"{c.energy_ev:.1f} eV {c.fault}" for c in found.bad_channels[:SHOWN])
        sentences.append(f"{_number(len(found.bad_channels), 'bad channel')}: {named}{_more(found.bad_channels)}.")
    return sentences


def _table(file: Path, image: SpectrumImage, found: Inspection) -> Table:
    counts, noise = found.counts, found.noise
    rows, columns, channels = image.counts.shape
    table = Table(show_header=False, box=None, title=f"{file.name}: {image.title}", title_justify="left")
    for name, value in (
        ("map", f"{rows} rows x {columns} columns x {channels} channels, {image.counts.dtype}"),
        ("energy", str(image.energy)),
        ("pixel", _or_unknown(image.pixel_nm, lambda p: f"{p[0]:.4g} x {p[1]:.4g} nm (row, column)")),
        ("beam", _or_unknown(image.beam_kev, lambda kev: f"{kev:g} keV")),
        ("dwell", _or_unknown(image.dwell_us, lambda us: f"{us:.6g} µs")),
        ("counts", f"{counts.total:.4g} in all, {counts.median_per_pixel:.4g} per pixel (median)"),
        ("values", f"{counts.lowest:.6g} to {counts.highest:.6g}"),
        (
            "noise",
            _or_unknown(noise, lambda n: f"variance {_variance(n)}, neighbours {n.channel_correlation:.2f}"),
        ),
        ("spikes", str(len(found.spikes))),
        ("bad channels", str(len(found.bad_channels))),
    ):
        table.add_row(name, value)
    return table


def _as_json(file: Path, image: SpectrumImage, found: Inspection, warnings: list[str]) -> str:
    head = {
        "file": str(file),
        "title": image.title,
        "shape": image.counts.shape,
        "dtype": str(image.counts.dtype),
        "energy": image.energy,
        "pixel_nm": image.pixel_nm,
        "beam_kev": image.beam_kev,
        "dwell_us": image.dwell_us,
    }
    return msgspec.json.encode(head | msgspec.to_builtins(found) | {"watch_out": warnings}).decode()


def _or_unknown(value: T | None, shown: Callable[[T], str]) -> str:
    return shown(value) if value is not None else "unknown"


def _variance(noise: NoiseEstimate) -> str:
    """The terms of the variance that are there, in counts."""
    terms = [f"{noise.gain:.2f} times the mean"]
    if noise.floor > 0:
        terms.append(f"{noise.floor:.3g} counts^2 of readout")
    if noise.over_dispersion > 0:
        terms.append(f"the square of {100 * noise.over_dispersion**0.5:.2g} % of the mean")
    return " + ".join(terms)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _more(found: Sized) -> str:
    return f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
