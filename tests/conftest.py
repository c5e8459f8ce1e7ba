"""Fixtures that every test may ask for."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live import material, offline, serve, watched

__all__ = ["material", "offline", "real_data", "serve", "watched"]
PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The path of a real EELS file by its name; skips, saying so, where the folder is not at hand.

    Looked for in the folder that EELSWATCH_DATA names, else in ../shared/data beside the project.
    """
    folder = Path(os.environ.get("EELSWATCH_DATA", PROJECT.parent / "shared" / "data"))

    def path_of(name: str) -> Path:
        path = folder / name
        if not path.is_file():
            pytest.skip(f"real data not at hand: {path}")
        return path

    return path_of
