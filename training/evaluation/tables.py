"""The tables of the report, as HTML; every text in them is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from training.evaluation.results import Comparison, Figure, Nominal, PaperRow, Reconstruction


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, strong: Sequence[bool] = ()) -> str:
    """A table of texts; rows marked in `strong` stand out."""
    lines = ["<table><thead><tr>", *(f"<th>{escape(cell)}</th>" for cell in head), "</tr></thead><tbody>"]
    for number, row in enumerate(rows):
        of_class = ' class="ours"' if number < len(strong) and strong[number] else ""
        lines.append(f"<tr{of_class}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>")
    return "".join([*lines, "</tbody></table>"])


def said(figure: Figure | None) -> str:
    """0.912 (0.880 to 0.934), a dash where there is none."""
    if figure is None:
        return "–"
    if figure.lo is None or figure.hi is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.lo:.3f} to {figure.hi:.3f})"


def comparison_table(comparison: Comparison) -> str:
    """One row a method, best first."""
    methods = sorted(comparison.methods, key=lambda m: (m.role == "limit", -m.found.value))
    head = ("method", "learned", "score", "ROC area", "found at 1e-3", "F1", "precision", "recall", "D", "b")
    rows = [
        (
            m.method,
            m.fit,
            m.score,
            said(m.auc),
            said(m.found),
            said(m.f1),
            said(m.precision),
            said(m.recall),
            _number(m.ashman_d),
            _number(m.bimodality),
        )
        for m in methods
    ]
    specimens = f"{len(comparison.seeds)} specimen{'' if len(comparison.seeds) == 1 else 's'}"
    caption = f"{comparison.title}: {specimens}, {comparison.anomalous} of {comparison.pixels} pixels anomalous"
    return f"<h3>{escape(caption)}</h3>{table(head, rows, strong=[m.role == 'ours' for m in methods])}"


def paper_table(shifts_ev: Sequence[float], rows: Sequence[PaperRow]) -> str:
    """F1 by shift: published, as the paper, mended."""
    head = ("method", "how", *(f"{shift_ev:g} eV" for shift_ev in shifts_ev))
    lines = [(row.method, row.source, *(said(each) for each in row.f1)) for row in rows]
    return table(head, lines, strong=[row.method.startswith("3D-CVAE") for row in rows])


def calibration_table(curves: Sequence[Nominal]) -> str:
    """Observed share by nominal p and dose."""
    head = ("dose", *(f"p ≤ {nominal:g}" for nominal in curves[0].nominal))
    return table(head, [(f"{c.dose:g} ×", *(f"{value:.4g}" for value in c.observed)) for c in curves])


def reconstruction_table(rows: Sequence[Reconstruction]) -> str:
    """chi2 and excess by method and window."""
    head = ("window", "rebuilt by", "chi2 per channel", "excess on the other half")
    return table(
        head,
        [
            (f"{r.window_ev[0]:g}-{r.window_ev[1]:g} eV", r.method, f"{r.chi2_per_dof:.3f}", _fine(r.excess))
            for r in rows
        ],
    )


def _fine(figure: Figure) -> str:
    if figure.lo is None or figure.hi is None:
        return f"{figure.value:.4f}"
    return f"{figure.value:.4f} ({figure.lo:.4f} to {figure.hi:.4f})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
