"""Images and calibrations as Foxglove writes them into MCAP without ROS: in protobuf or JSON.

Schemas: https://docs.foxglove.dev/docs/sdk/schemas
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

ENCODINGS = ("protobuf", "json")
"""Of the channels that are read here."""

_BYTES, _TEXT, _FIXED, _DOUBLES = "bytes", "text", "fixed", "doubles"

SCHEMAS: dict[str, dict[str, tuple[int, str]]] = {
    "foxglove.CompressedImage": {"data": (2, _BYTES), "format": (3, _TEXT), "frame_id": (4, _TEXT)},
    "foxglove.CompressedVideo": {"frame_id": (2, _TEXT), "data": (3, _BYTES), "format": (4, _TEXT)},
    "foxglove.RawImage": {
        "width": (2, _FIXED), "height": (3, _FIXED), "encoding": (4, _TEXT), "step": (5, _FIXED),
        "data": (6, _BYTES), "frame_id": (7, _TEXT),
    },
    "foxglove.CameraCalibration": {
        "width": (2, _FIXED), "height": (3, _FIXED), "distortion_model": (4, _TEXT),
        "D": (5, _DOUBLES), "K": (6, _DOUBLES), "R": (7, _DOUBLES), "P": (8, _DOUBLES),
        "frame_id": (9, _TEXT),
    },
}  # fmt: skip
"""Number and kind of the fields that matter; `timestamp` is the first one of all."""

_EMPTY: dict[str, Any] = {_BYTES: b"", _TEXT: "", _FIXED: 0, _DOUBLES: []}


def ros_name(schema: str) -> str:
    """Return what ROS calls the type of a schema."""
    return schema.replace(".", "_msgs/msg/", 1)


def decoded(raw: bytes, ros_type: str, encoding: str) -> SimpleNamespace:
    """Return a message with the fields that the one of ROS has.

    Raises:
        ValueError: it is damaged.
    """
    kinds = SCHEMAS[ros_type.replace("_msgs/msg/", ".", 1)]
    try:
        return _of_json(raw, kinds) if encoding == "json" else _of_protobuf(raw, kinds)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, IndexError) as error:
        raise ValueError(f"is not a message {ros_type} in {encoding}: {error}") from error


def _of_json(raw: bytes, kinds: dict[str, tuple[int, str]]) -> SimpleNamespace:
    content = json.loads(raw)
    values = {name: content.get(name, _EMPTY[kind]) for name, (_, kind) in kinds.items()}
    for name, (_, kind) in kinds.items():
        if kind == _BYTES:
            values[name] = base64.b64decode(values[name])
        elif kind == _DOUBLES:
            values[name] = [float(x) for x in values[name]]
        else:
            values[name] = (int if kind == _FIXED else str)(values[name])
    time = content["timestamp"]
    return SimpleNamespace(timestamp=_time(int(time["sec"]), int(time["nsec"])), **values)


def _of_protobuf(raw: bytes, kinds: dict[str, tuple[int, str]]) -> SimpleNamespace:
    names = {number: (name, kind) for name, (number, kind) in kinds.items()}
    values = {name: _EMPTY[kind] for name, kind in names.values()}
    time: dict[int, Any] = {}
    for number, value in _fields(raw):
        if number == 1:
            time = dict(_fields(value))
        elif number in names:
            name, kind = names[number]
            if kind == _DOUBLES:  # packed, or one by one
                values[name] = values[name] + [x[0] for x in struct.iter_unpack("<d", value)]
            elif kind == _FIXED:
                values[name] = int.from_bytes(value, "little")
            else:
                values[name] = bytes(value) if kind == _BYTES else value.decode()
    return SimpleNamespace(timestamp=_time(time.get(1, 0), time.get(2, 0)), **values)


def _time(seconds: int, nanoseconds: int) -> SimpleNamespace:
    return SimpleNamespace(sec=seconds, nanosec=nanoseconds)


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of the fields: a number for varints, bytes for all others."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(raw, at)
            yield number, value
            continue
        if wire not in (1, 2, 5):
            raise ValueError(f"wire type {wire}")
        length, at = _varint(raw, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
        if at + length > len(raw):
            raise ValueError("it is cut off")
        yield number, raw[at : at + length]
        at += length


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while raw[at] & 0x80:
        value |= (raw[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if shift > 63:
            raise ValueError("a number is too long")
    return value | raw[at] << shift, at + 1
