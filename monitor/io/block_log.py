"""Which blocks of a scan are whole in its files: one line a block, appended once its counts are written.

    boot ID         the machine's start that the lines below belong to
    SEQ             the block's counts and seqs are written: they survive the end of the process
    synced SIZE     all that the first SIZE bytes of this log name is on the disk: it survives the end of the machine

Law: a line says what has been done before it. A line that is cut off or unreadable says nothing. Its blocks are asked
for again, and so are those after the last `synced` once the machine has been started anew.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from monitor.files.atomic import replacing

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class BlockLog:
    """The log of one open scan. `add` and `synced` may come from two threads; both raise OSError."""

    def __init__(self, path: Path, blocks: Iterable[int]) -> None:
        """Write the log anew: `blocks` are on the disk already. Raises OSError or DataError."""
        lines = f"boot {boot_id()}\n" + "".join(f"{seq}\n" for seq in sorted(blocks))
        text = f"{lines}synced {len(lines)}\n".encode("ascii")
        with replacing(path) as temporary, temporary.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._file = io.FileIO(path, "a")
        self._lock = Lock()
        self.size = len(text)

    def add(self, seq: int) -> None:
        """Vouch for a block whose counts and seqs are written."""
        self._append(f"{seq}\n")

    def synced(self, size: int) -> None:
        """Note that all blocks in the first `size` bytes of the log are on the disk, and bring the log there, too."""
        self._append(f"synced {size}\n")
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _append(self, line: str) -> None:
        text = line.encode("ascii")
        with self._lock:
            if self._file.write(text) != len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.size += len(text)


def boot_id() -> str:
    """What tells this start of the machine from all others; empty where the system does not say."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def read_block_log(path: Path) -> set[int]:
    """The blocks whose counts can be relied on now; raises OSError where there is no log."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    boot, synced, at, blocks = b"", 0, 0, list[tuple[int, int]]()
    for line in whole.splitlines(keepends=True):
        at += len(line)
        match line.removesuffix(b"\n").split(b" "):
            case [b"boot", name]:
                boot = name
            case [b"synced", size] if size.isdigit():
                synced = max(synced, int(size))
            case [seq] if seq.isdigit():
                blocks.append((at, int(seq)))
    same_boot = boot != b"" and boot.decode("ascii", "replace") == boot_id()
    return {seq for end, seq in blocks if same_boot or end <= synced}
