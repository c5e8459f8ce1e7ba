"""The error family. A message says what was got, what was wanted and what to do."""

from __future__ import annotations


class EelswatchError(Exception):
    """Base of every error that eelswatch raises on purpose; its text is one sentence for a person."""


class WireError(EelswatchError):
    """The sender broke the stream protocol: contained and counted, the next message is unharmed.

    `kind` is a short stable word for counters; `scan` is the id the header named, where it named one.
    """

    def __init__(self, kind: str, message: str, *, scan: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.scan = scan


class ModelError(EelswatchError):
    """A model file whose card is missing or disagrees with its graph."""


class ConfigError(EelswatchError):
    """A setting, an argument or an address that cannot be used."""


class UsageError(ConfigError):
    """An argument or a setting that was given wrongly: misuse, exit code 2."""


class LaneError(EelswatchError):
    """A part of the running service has ended that never should."""


class DataError(EelswatchError):
    """A file that does not hold what was asked of it."""


class RescanError(EelswatchError):
    """A rescan request that does not exist or may not move as asked."""
