"""The one frozen configuration of the live service, read once at the edge and passed down as values."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import Field

from monitor.core.axes import Region
from monitor.core.errors import ConfigError, UsageError
from monitor.core.flagging import FlagRule

WEEK_S = 7 * 24 * 3600.0
RULES = frozenset({"fdr", "false_flags"})
"""Settings of which one at most may be given; one on the command line comes before either in the file."""
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


class ServeConfig(pydantic.BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """Settings of `eelswatch serve`; a TOML file may hold any of them under the same names."""

    model: Path
    source: str
    mode: Literal["sub", "pull"] = "sub"
    curve_server_key: Path | None = None
    curve_key: Path | None = None
    scan_rows: int | None = Field(None, ge=1, le=4096)
    scan_columns: int | None = Field(None, ge=1, le=4096)
    energy_offset_ev: float | None = None
    energy_step_ev: float | None = None
    detector_region: str | None = None
    http: str = "127.0.0.1:8765"
    data: Path = Path("eelswatch-data")
    rescan: str = "tcp://127.0.0.1:5556"
    device: Literal["auto", "cuda", "cpu"] = "auto"
    fdr: float | None = Field(None, gt=0, lt=1)
    false_flags: float | None = Field(None, gt=0)
    stall_s: float = Field(30.0, gt=0, le=WEEK_S)
    stuck_s: float = Field(60.0, ge=1, le=WEEK_S)
    log: Literal["text", "json"] = "text"
    max_scan_gib: float = Field(32.0, gt=0, le=1e6)
    dwell_factor: float = Field(4.0, gt=0, le=1000)
    rescan_expiry_s: float = Field(1800.0, gt=0, le=WEEK_S)
    auto_approve: bool = False
    token: pydantic.SecretStr | None = None

    @property
    def rule(self) -> FlagRule:
        """How scans are flagged; raises UsageError where both ways to say it are set."""
        return FlagRule.asked(fdr=self.fdr, false_flags=self.false_flags)

    @property
    def detector(self) -> Region | None:
        """The part of a camera's image that is read, in its pixels; raises UsageError for another form."""
        if self.detector_region is None:
            return None
        form = re.fullmatch(r"(\d{1,6}):(\d{1,6}),(\d{1,6}):(\d{1,6})", self.detector_region, re.ASCII)
        row0, row1, col0, col1 = map(int, form.groups()) if form else (0, 0, 0, 0)
        if not (row0 < row1 and col0 < col1):
            raise UsageError(f"detector region {self.detector_region!r}; wanted R0:R1,C0:C1 such as 100:140,0:1030")
        return Region(row0=row0, col0=col0, row1=row1, col1=col1)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the HTTP server; raises UsageError for another form."""
        host, _, port = self.http.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise UsageError(f"http address {self.http!r}; wanted HOST:PORT, for example 127.0.0.1:8765")
        return host.strip("[]"), int(port)

    def check_security(self) -> None:
        """Refuse to be reachable from elsewhere without a token."""
        host, _ = self.address
        if host not in LOOPBACK_HOSTS and self.token is None:
            raise ConfigError(
                f"http address {self.http} is open to others; set EELSWATCH_TOKEN or --token-file, or use 127.0.0.1"
            )


def load_config(file: Path | None, settings: dict[str, Any]) -> ServeConfig:
    """Settings from a TOML file, overridden by those of `settings` that are not None.

    Raises ConfigError for an unreadable file, UsageError for an unknown key or a value out of range.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
            raise ConfigError(f"config {file} cannot be read ({fault}); wanted TOML") from fault
    given = {name: value for name, value in settings.items() if value is not None}
    if given.keys() & RULES:
        values = {name: value for name, value in values.items() if name not in RULES}
    try:
        config = ServeConfig(**values | given)
    except pydantic.ValidationError as fault:
        first = fault.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"setting {name!r}: {first['msg']}; see 'eelswatch serve --help'") from fault
    _ = config.rule, config.detector  # what is misuse shall be told at the start
    if config.energy_step_ev == 0:
        raise UsageError("setting 'energy_step_ev': 0 eV; wanted what one channel spans, negative where energies fall")
    if config.curve_key is not None and config.curve_server_key is None:
        raise UsageError("--curve-key encrypts together with the source's key; give --curve-server-key, too")
    return config
