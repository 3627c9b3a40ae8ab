"""What a model file may hold before a runtime is handed it.

ONNX is data, not code, but it can name other files to be read, run without end, or ask for more
than a machine has. The few fields that matter are read here from the protobuf itself, so that
nothing of a refused file is ever built.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from blur_imu_ros.errors import ModelError

LARGEST_FILE = 1 << 30
"""Bytes. The largest known network of this kind has a tenth of them."""
DEEPEST = 8
"""Messages within messages, of one kind in another."""
DOMAINS = (b"", b"ai.onnx")
"""Operators of other domains are not ONNX's own."""
ENDLESS = (b"Loop", b"Scan", b"If", b"SequenceMap")
"""Operators that hold graphs and may run them again and again; no network here needs them."""

_PARTS = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""By kind of message: the fields that hold messages, and of which kind (onnx.proto)."""
_OPERATOR, _DOMAIN = 4, 7  # of a node
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of a tensor


def read_model(path: Path, sha256: str | None = None) -> bytes:
    """Return the bytes of an ONNX file, which may be handed to a runtime.

    Args:
        path: of the file.
        sha256: that they must have; None lets every file through that is within the limits.

    Raises:
        ModelError: it cannot be read, is another file, or beyond the limits.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise ModelError(f"{path}: {size / 1e6:.0f} MB are more than any model of ours has")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: the model cannot be read: {error.strerror}") from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(f"{path}: differs from the hash in its card; download both again")
    try:
        _check(memoryview(content), "model", DEEPEST)
    except _DamagedError as error:
        raise ModelError(f"{path}: is not an ONNX file, or damaged") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return content


class _DamagedError(Exception):
    """The bytes are not protobuf."""


def _check(message: memoryview, kind: str, depth: int) -> None:
    """Refuse a message of which a part is beyond the limits."""
    if depth == 0:
        raise ModelError("holds graphs within graphs; only plain networks are run")
    for field, value in _fields(message):
        part = _PARTS[kind].get(field)
        if part is not None and isinstance(value, memoryview):
            _check(value, part, depth - 1)
        elif kind == "node" and isinstance(value, memoryview):
            _check_operator(field, bytes(value))
        elif kind == "tensor" and (
            field == _EXTERNAL_DATA or (field, value) == (_DATA_LOCATION, 1)
        ):
            raise ModelError("keeps weights in other files, which are not read; store it as one")


def _check_operator(field: int, name: bytes) -> None:
    shown = name.decode(errors="replace")
    if field == _OPERATOR and name in ENDLESS:
        raise ModelError(f"operator {shown} may never end; only plain networks are run")
    if field == _DOMAIN and name not in DOMAINS:
        raise ModelError(f"has operators of the domain '{shown}'; only ONNX's own are run")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field: an integer, or the bytes of a string or message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if wire == 2:
            length, at = _varint(message, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise _DamagedError
        if at + length > len(message):
            raise _DamagedError
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the integer that begins at a position, and where the next thing begins."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte, at = message[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _DamagedError
