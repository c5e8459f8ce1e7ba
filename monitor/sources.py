"""Which source a URL means: the word before `://` decides, and only the module that it names is loaded.

Besides the schemes below, a package may bring its own: an entry point of the group `eelswatch.sources`, named as the
scheme, that is called with the URL and the settings and gives a `monitor.io.source.Source`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from monitor.config import ServeConfig
from monitor.core.axes import ScanGrid
from monitor.core.errors import ConfigError, UsageError
from monitor.io.curve import CurveClient
from monitor.io.source import Source
from monitor.io.stream_source import StreamSource

GROUP = "eelswatch.sources"
STREAM, DECTRIS = ("tcp", "ipc"), "dectris+tcp"


def source_of(config: ServeConfig, curve: CurveClient | None) -> Source:
    """The source of `config`, not yet connected; raises ConfigError for an unknown scheme or a missing setting."""
    scheme, separator, _ = config.source.partition("://")
    if scheme in STREAM and separator:
        return StreamSource(config.source, config.mode, curve)
    if scheme == DECTRIS and separator:
        return _dectris(config, curve)
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if scheme in found and separator:
        return found[scheme].load()(config.source, config)
    wanted = ", ".join(f"{name}://" for name in (*STREAM, DECTRIS, *sorted(found)))
    raise ConfigError(f"source {config.source!r} cannot be connected to; wanted one of {wanted}")


def _dectris(config: ServeConfig, curve: CurveClient | None) -> Source:
    from monitor.io.dectris_source import DectrisSource

    if curve is not None:
        raise UsageError("a DECTRIS detector does not encrypt; leave out --curve-server-key")
    given: dict[str, Any] = {
        "scan_rows": config.scan_rows,
        "scan_columns": config.scan_columns,
        "energy_offset_ev": config.energy_offset_ev,
        "energy_step_ev": config.energy_step_ev,
    }
    missing = [name for name, value in given.items() if value is None]
    if missing:
        options = ", ".join("--" + name.removesuffix("_ev").replace("_", "-") for name in missing)
        raise UsageError(f"a DECTRIS detector does not know its scan or its energies; give {options}")
    return DectrisSource(
        config.source,
        grid=ScanGrid(rows=given["scan_rows"], columns=given["scan_columns"]),
        offset_ev=given["energy_offset_ev"],
        step_ev=given["energy_step_ev"],
        detector=config.detector,
    )
