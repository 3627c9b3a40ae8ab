"""Cameras as COLMAP lists them in cameras.txt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from blur_imu_ros.errors import CameraError

_LINE = re.compile(r"(\d+)\s+([A-Z_]+)\s+(\d+)\s+(\d+)((?:\s+[-+.\deE]+)+)")
_PARAMETERS = {
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k1"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
    "FULL_OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    "OPENCV_FISHEYE": ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4"),
    "SIMPLE_RADIAL_FISHEYE": ("f", "cx", "cy", "k1"),
    "RADIAL_FISHEYE": ("f", "cx", "cy", "k1", "k2"),
}
"""The parameters of each model, in COLMAP's order."""


def colmap_cameras(path: Path) -> dict[str, Any]:
    """Return the cameras of a cameras.txt by their numbers, as flat keys; empty for another file.

    Raises:
        CameraError: a model is not understood.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    said = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    found = [_LINE.fullmatch(line) for line in said]
    return {m[1]: _keys(m[2], m[3], m[4], m[5].split()) for m in found if m} if all(found) else {}


def _keys(model: str, width: str, height: str, numbers: list[str]) -> dict[str, Any]:
    if model not in _PARAMETERS:
        raise CameraError(
            f"COLMAP's camera model {model} is not supported, only {', '.join(_PARAMETERS)}; "
            "colmap image_undistorter removes the distortion from images"
        )
    names = _PARAMETERS[model]
    try:
        keys: dict[str, Any] = dict(zip(names, map(float, numbers), strict=False))
    except ValueError as error:
        raise CameraError(
            f"COLMAP's camera holds something that is not a number: {' '.join(numbers)}"
        ) from error
    focal = keys.pop("f", None)
    keys |= {} if focal is None else {"fx": focal, "fy": focal}
    # COLMAP's first pixel has its centre at (0.5, 0.5).
    keys |= {name: keys[name] - 0.5 for name in ("cx", "cy") if name in keys}
    lens = "equidistant" if "FISHEYE" in model else "plumb_bob"
    return keys | {
        "width": int(width),
        "height": int(height),
        "distortion_model": lens,
        "intrinsics": {},
    }
