"""The fixtures of `tests.live` for every file of this folder."""

from tests.live import material, offline, serve

__all__ = ["material", "offline", "serve"]
