"""Files that appear whole or not at all: written beside their place, then moved onto it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from monitor.core.errors import DataError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary name beside `path` (same suffix) to write to; moved onto `path` when the block ends well.

    Raises DataError where the place cannot be written to. Nothing is left behind when the block fails.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as fault:
        raise DataError(f"{path} cannot be written ({fault.strerror or fault}); choose another place") from fault
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
