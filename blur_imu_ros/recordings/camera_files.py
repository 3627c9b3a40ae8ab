"""Camera calibration files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from blur_imu_ros.core.camera import Camera, in_pixels, lens_of
from blur_imu_ros.errors import CameraError

EXPECTED = "image_width, image_height, fx, fy, cx, cy"
"""Of a flat camera file."""


def load_camera(path: str | Path) -> Camera:
    """Read a camera from YAML: flat (fx, fy, cx, cy, ...) or a ROS calibration file.

    Raises CameraError naming the file and what is missing.
    """
    return _parse_camera(_read_yaml(path), str(path))


def load_exposure_time(path: str | Path) -> float | None:
    """Return `exposure_time` (seconds) of a camera YAML, or None where it has none.

    Raises CameraError naming the file where it is not a number.
    """
    value = _read_yaml(path).get("exposure_time")
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise CameraError(f"{path}: exposure_time {value!r} is not a number of seconds") from error


def load_yaml(path: str | Path, complaint: str) -> Any:
    """Return what a YAML file holds; CameraError says `complaint` of a file that is none."""
    try:
        return yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise CameraError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CameraError(f"{path}: {complaint}: {str(error).splitlines()[0]}") from error


def _read_yaml(path: str | Path) -> dict[str, Any]:
    content = load_yaml(path, "is not YAML")
    if not isinstance(content, dict):
        raise CameraError(f"{path}: holds no camera; expected {EXPECTED}")
    return content


def _parse_camera(content: dict[str, Any], name: str) -> Camera:
    try:
        if "camera_matrix" in content:
            fx, fy, cx, cy = _pinhole_of(content["camera_matrix"])
        else:
            fx, fy, cx, cy = (_number(content, key) for key in ("fx", "fy", "cx", "cy"))
        model, coefficients = lens_of(
            str(content.get("distortion_model") or ""),
            _coefficients_of(content.get("distortion_coefficients") or []),
        )
        camera = Camera(
            width=int(_number(content, "image_width")),
            height=int(_number(content, "image_height")),
            fx=fx,
            fy=fy,
            cx=cx,
            cy=cy,
            distortion_model=model,
            distortion=coefficients,
        )
        return in_pixels(camera)
    except (CameraError, ValueError, OverflowError) as error:  # int of what is not finite
        raise CameraError(f"{name}: {error}") from error


def _number(content: dict[str, Any], key: str) -> float:
    if key not in content:
        raise CameraError(
            f"lacks {key}; expected {EXPECTED}, or what ROS' camera_calibration writes"
        )
    return _as_number(content[key], key)


def _as_number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise CameraError(f"{name} is {value!r}, not a number") from error


def _coefficients_of(given: Any) -> tuple[float, ...]:
    """Return the coefficients of a list, or of a ROS calibration file's `data`."""
    listed = given.get("data") if isinstance(given, dict) else given
    if not isinstance(listed, list):
        raise CameraError(f"distortion_coefficients is {given!r}, not a list of numbers")
    return tuple(_as_number(x, "one of distortion_coefficients") for x in listed)


def _pinhole_of(matrix: Any) -> tuple[float, float, float, float]:
    """Return fx, fy, cx, cy of a ROS calibration file's camera_matrix."""
    data = matrix.get("data") if isinstance(matrix, dict) else None
    if not isinstance(data, list) or len(data) != 9:
        raise CameraError("camera_matrix lacks data, the 9 numbers of K")
    k = [_as_number(x, "one of camera_matrix") for x in data]
    return k[0], k[4], k[2], k[5]
