"""The one frozen configuration of the live service, read once at the edge and passed down as values."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import Field

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
    http: str = "127.0.0.1:8765"
    data: Path = Path("eelswatch-data")
    rescan: str = "tcp://127.0.0.1:5556"
    device: Literal["auto", "cuda", "cpu"] = "auto"
    fdr: float | None = Field(None, gt=0, lt=1)
    false_flags: float | None = Field(None, gt=0)
    stall_s: float = Field(30.0, gt=0, le=WEEK_S)
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
    _ = config.rule  # both ways to say it are misuse, and shall be told at the start
    return config
