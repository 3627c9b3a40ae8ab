"""A bag that could not be completed, made readable as far as it goes."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

MAGIC = b"\x89MCAP0\r\n"
_CHUNK, _END_OF_DATA = 0x06, 0x0F
_ENDING = (
    bytes([_END_OF_DATA]) + (4).to_bytes(8, "little") + bytes(4)
    + b"\x02" + (20).to_bytes(8, "little") + bytes(20) + MAGIC
)  # fmt: skip
"""End of data, and a footer without an index: readers then go through the records one by one."""


def rescue(path: Path) -> bool:
    """Cut an mcap file behind its last whole record and end it properly.

    Returns whether messages are in it. OSError where the disk does not even take what is cut less.
    """
    with path.open("r+b") as file:
        end, chunks = _whole_records(file, path.stat().st_size)
        if chunks == 0:
            return False
        file.seek(end)
        file.truncate()
        file.write(_ENDING)
    return True


def _whole_records(file: BinaryIO, size: int) -> tuple[int, int]:
    """Return where the data end of which all is there, and the number of chunks of messages."""
    end, chunks = len(MAGIC), 0
    while end + 9 <= size:
        file.seek(end)
        kind, length = file.read(1)[0], int.from_bytes(file.read(8), "little")
        if kind == _END_OF_DATA or end + 9 + length > size - len(_ENDING):
            break
        end, chunks = end + 9 + length, chunks + (kind == _CHUNK)
    return end, chunks
