"""Immutable pictures of the live state, in the JSON shapes of the HTTP interface.

The service fills them in, the HTTP routes and the dashboard hand them on. Nothing here changes after it is made.
"""

from __future__ import annotations

import msgspec

from monitor.core.axes import EnergyAxis


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the pictures: frozen, keyword-only."""


class PixelCounts(View, frozen=True, kw_only=True):
    """`scored` for good; `provisional` are scored, with rows of their neighbourhood still to come."""

    received: int
    scored: int
    provisional: int = 0
    missing: int
    flagged: int


class BlockCounts(View, frozen=True, kw_only=True):
    received: int
    duplicate: int
    replaced: int
    stray: int


class WireErrorCounts(View, frozen=True, kw_only=True):
    total: int
    kinds: dict[str, int]


class Latency(View, frozen=True, kw_only=True):
    """From the block that completes a pixel's neighbourhood to its score, in ms; None before the first."""

    p50: float | None
    p99: float | None


class ResendCounts(View, frozen=True, kw_only=True):
    """Resends since the monitor started; those not answered are under way, or the source has fallen silent."""

    asked: int = 0
    answered: int = 0


class ParentView(View, frozen=True, kw_only=True):
    """Where a child scan lies in its parent: [row0, col0, row1, col1] in the parent's pixels."""

    scan: str
    region: tuple[int, int, int, int]
    rescan: str | None = None


class ScanView(View, frozen=True, kw_only=True):
    """One scan. `state` is open, complete, incomplete or aborted; `why` says why it is not scored, else None.

    `unrecorded` says why it is in memory only and gone with the process, else None.
    `labels` counts the pixels of each label in the order of the model's card, those of none too; of `fdr` and
    `false_flags` the one that holds is set. `late_rows` counts scores that came late (`core.latencies.LATE_MS`).
    """

    scan: str
    title: str
    state: str
    shape: tuple[int, int]
    parent: ParentView | None
    energy: EnergyAxis
    pixels: PixelCounts
    blocks: BlockCounts
    wire_errors: WireErrorCounts
    latency_ms: Latency
    lag_rows: int
    why: str | None
    unrecorded: str | None = None
    labels: dict[str, int] = {}
    late_rows: int = 0
    fdr: float | None = None
    false_flags: float | None = None


class RegionView(View, frozen=True, kw_only=True):
    """Flagged pixels that belong together. `label` is one sentence part for the operator, such as "Fe L3, 708 eV".

    Where the evidence is a shift, it is given in eV; other evidence in detector counts a pixel, positive: too many.
    """

    id: str
    scan: str
    region: tuple[int, int, int, int]
    pixels: int
    energy_ev: float
    energy_span_ev: tuple[float, float]
    label: str
    score: float
    p_value: float
    shift_ev: float | None
    shift_error_ev: float | None
    excess_counts: float | None = None
    excess_error_counts: float | None = None


class Reason(View, frozen=True, kw_only=True):
    """Why a rescan is asked for; every field may be None for one proposed by hand."""

    energy_ev: float | None
    energy_span_ev: tuple[float, float] | None
    label: str
    score: float | None
    p_value: float | None


class Step(View, frozen=True, kw_only=True):
    """One move in the life of a rescan request; `who` is monitor, operator, instrument or auto-approve."""

    state: str
    t_ns: int
    who: str
    message: str


class RescanView(View, frozen=True, kw_only=True):
    """A rescan request as /api/rescans shows it."""

    id: str
    scan: str
    region: tuple[int, int, int, int]
    state: str
    child_scan: str | None
    dwell_factor: float
    reason: Reason
    expires_ns: int
    history: list[Step]


class PixelView(View, frozen=True, kw_only=True):
    """One pixel under the microscope: its spectrum against expectation, each list over `energy_ev`.

    `expected` and `residual_z` are None where the pixel is missing or not scored, and `why` says so then. `label` says
    what the pixel is beside its score (None: nothing), `kind` names the family of evidence, `amount` is in
    `amount_unit` (eV or counts), `edge` is the edge near `energy_peak_ev`.
    """

    row: int
    column: int
    energy_ev: list[float]
    counts: list[float] | None
    expected: list[float] | None
    residual_z: list[float] | None
    score: float | None
    p_value: float | None
    flag: bool
    energy_peak_ev: float | None
    kind: str | None
    evidence: dict[str, float]
    why: str | None
    label: str | None = None
    energy_span_ev: tuple[float, float] | None = None
    amount: float | None = None
    amount_error: float | None = None
    amount_unit: str | None = None
    edge: str | None = None


class HealthView(View, frozen=True, kw_only=True):
    """`status` is "ok" or the fault in one sentence; `wire_errors` and `stray` count messages of no known scan.

    `notices` are sentences for the operator that are no fault of the monitor. Of `fdr` and `false_flags` the one that
    scans to come are flagged by is set. `rows_waiting` are rows of all open scans that could be scored and are not;
    `messages_waiting` wait in the source (None: it cannot say); `disk_free_bytes` is room for recorded scans.
    """

    status: str
    notices: list[str]
    version: str
    model: str
    source: str
    provider: str
    instrument: str | None
    data_age_s: float | None
    rate_spectra_per_s: float
    fdr: float | None
    false_flags: float | None = None
    wire_errors: WireErrorCounts
    stray: int
    rows_waiting: int = 0
    messages_waiting: int | None = None
    resends: ResendCounts = ResendCounts()
    disk_free_bytes: int | None = None
