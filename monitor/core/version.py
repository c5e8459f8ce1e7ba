"""One growing number that says whether there is anything new to look at."""

from __future__ import annotations


class Version:
    """Shared by everything that shows up on the page; bumped by whoever changes it."""

    def __init__(self) -> None:
        self.value = 0

    def bump(self) -> int:
        """Grow by one and give the new value."""
        self.value += 1
        return self.value
