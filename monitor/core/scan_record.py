"""What is kept of a scan beside its arrays."""

from __future__ import annotations

import msgspec

from monitor.core.flagging import FlagRule
from monitor.core.messages import ScanEnded, ScanStarted


class ScanRecord(msgspec.Struct, kw_only=True):
    """Enough to show a scan, or to go on with it, after a restart."""

    started: ScanStarted
    fdr: float | None = None
    false_flags: float | None = None
    state: str = "open"
    ended: ScanEnded | None = None
    why: str | None = None
    unrecorded: str | None = None
    blocks: int = 0
    duplicate: int = 0
    replaced: int = 0
    stray: int = 0
    wire_errors: dict[str, int] = {}
    p50_ms: float | None = None
    p99_ms: float | None = None
    late_rows: int = 0
    model_sha256: str = ""

    @property
    def rule(self) -> FlagRule:
        """How the scan is flagged."""
        return FlagRule(fdr=self.fdr, false_flags=self.false_flags)

    @rule.setter
    def rule(self, rule: FlagRule) -> None:
        self.fdr, self.false_flags = rule.fdr, rule.false_flags
