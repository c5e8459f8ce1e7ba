"""What a session tells its caller, who acts on it."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.core.recovery import Ranges
from monitor.core.scan import Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOpened:
    scan: Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanClosed:
    scan: Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendWanted:
    """Ask `endpoint` for these messages; frames of the answer go back into `Session.receive`."""

    scan: str
    endpoint: str
    ranges: Ranges


Event = ScanOpened | ScanClosed | ResendWanted
