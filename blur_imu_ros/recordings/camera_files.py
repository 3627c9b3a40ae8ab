"""Camera calibrations as ROS, OpenCV, Kalibr, EuRoC, SLAM systems, Basalt and COLMAP write them.

What a file says is looked up by the usual names of its keys, whatever their spelling. What seems to
describe the lens and is not understood is refused: images of a lens are never measured as if they
had none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from blur_imu_ros.core.camera import (
    COEFFICIENTS,
    PINHOLES,
    Camera,
    in_pixels,
    lens_name,
    lens_of,
)
from blur_imu_ros.core.frame import check_exposure_time
from blur_imu_ros.errors import CameraError, FrameError
from blur_imu_ros.recordings.camera_info import pinhole_of, windowed
from blur_imu_ros.recordings.camera_keys import EXPECTED, KINDS, Keys, as_number, flattened
from blur_imu_ros.recordings.colmap_cameras import colmap_cameras
from blur_imu_ros.recordings.yaml_files import load_yaml

_PART = re.compile(r"(.+):([\w.]+)")
"""A file and the camera in it: camchain.yaml:cam1."""

_WIDTH, _HEIGHT = ("imagewidth", "width", "w"), ("imageheight", "height", "h")
_SIZE = ("resolution", "imagesize", "imgsize", "size")
_MATRIX = ("cameramatrix", "k", "intrinsicmatrix", "cameraintrinsics", "intrinsicparameters")
_INTRINSICS = ("intrinsics", "projectionparameters", "mirrorparameters")
_PINHOLE = {
    "fx": ("fx", "fu", "mu", "gamma1", "flx"),
    "fy": ("fy", "fv", "mv", "gamma2", "fly"),
    "cx": ("cx", "cu", "u0", "ppx"),
    "cy": ("cy", "cv", "v0", "ppy"),
}
_FOCAL = ("f", "focal", "focallength")
_COEFFICIENTS = (
    *("distortioncoefficients", "distortioncoeffs", "distortionparameters", "distortionparams"),
    *("distortion", "distcoeffs", "distcoeff", "distcoefficients", "dist", "d"),
    *("coefficients", "coeffs"),
)
_MODELS = ("distortionmodel", "distortiontype", "cameramodel", "modeltype", "cameratype", "type")
_BROWN = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6", "s1", "s2", "s3", "s4", "taux", "tauy")
_RADIAL = ("k1", "k2", "k3", "k4")
_PARTS_OF_ONE = ("intrinsics", "projection_parameters", "camera_intrinsics")
"""Dicts that hold part of a camera."""
_FOREIGN = re.compile(r"fov|atan|division|scaramuzza|ocam|thin|poly|inverse")
"""Lenses that are not known here."""
_SHAPES = {
    "double_sphere": ("xi", "alpha"),
    "extended_unified": ("alpha", "beta"),
    "omnidirectional": ("xi",),
}
"""Parameters of wide lenses that stand before or beside the pinhole's."""


def load_camera(path: str | Path) -> Camera:
    """Read a camera: flat YAML (fx, fy, cx, cy, ...) or a file of another program.

    If the file has several cameras, name one after a colon: `camchain.yaml:cam1`.

    Raises:
        CameraError: naming the file, and what is missing or not understood.
    """
    try:
        content = _content(path)
        keys = Keys(content)
        return windowed(in_pixels(_camera_of(keys)), *_window_of(keys))
    except (CameraError, ValueError, OverflowError) as error:  # int of what is not finite
        text = str(error)
        raise CameraError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from error


def load_exposure_time(path: str | Path) -> float | None:
    """Return `exposure_time` (seconds) of a camera YAML, or None where it has none.

    Raises CameraError naming the file where it is not one.
    """
    value = _content(path).get("exposure_time")
    try:
        return None if value is None else check_exposure_time(float(value))
    except FrameError as error:
        raise CameraError(f"{path}: {error}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise CameraError(f"{path}: exposure_time {value!r} is not a number of seconds") from error


def flat(camera: Camera) -> dict[str, Any]:
    """Return a camera as the flat YAML that `load_camera` reads."""
    names = ("fx", "fy", "cx", "cy")
    content: dict[str, Any] = {"image_width": camera.width, "image_height": camera.height}
    content |= {name: float(getattr(camera, name)) for name in names}
    if camera.is_distorted:
        content["distortion_model"] = camera.distortion_model
        content["distortion_coefficients"] = [float(x) for x in camera.distortion]
    return content


def camera_file(path: Path | None) -> Path | None:
    """Return the file of a camera, None for none."""
    return None if path is None else file_and_camera(path)[0]


def file_and_camera(path: str | Path) -> tuple[Path, str | None]:
    """Return the file that a path names, and the camera in it that is named behind a colon."""
    match = _PART.fullmatch(str(path))
    if match and not Path(path).exists():
        return Path(match[1]), match[2]
    return Path(path), None


def _content(path: str | Path) -> dict[str, Any]:
    """Return the keys of the one camera that a path names."""
    file, part = file_and_camera(path)
    with suppress(OSError):  # Of what cannot be looked at, reading says why.
        if file.is_fifo():
            raise CameraError(f"{path}: is a pipe, which can be read only once; give a file")
    content = colmap_cameras(file) or load_yaml(file, f"is not YAML, nor {KINDS}")
    if not isinstance(content, dict):
        raise CameraError(f"{path}: holds no camera; expected {EXPECTED}, or {KINDS}")
    cameras = _cameras_in(content)
    if part is not None:
        if part not in cameras:
            raise CameraError(
                f"{path}: holds no camera {part}; there are {', '.join(cameras) or 'none'}"
            )
        return cameras[part]
    if len(cameras) > 1:
        first = next(iter(cameras))
        raise CameraError(
            f"{path}: holds several cameras ({', '.join(cameras)}); name one behind a colon: "
            f"{file}:{first}"
        )
    return next(iter(cameras.values()), content)


def _cameras_in(content: Mapping[Any, Any]) -> dict[str, dict[str, Any]]:
    """Return the cameras that a file names, none where it is one itself."""
    value = content.get("value0")
    if isinstance(value, dict) and isinstance(value.get("intrinsics"), list):  # Basalt
        sizes = value.get("resolution") or []
        return {
            str(k): {**camera, "resolution": sizes[k] if k < len(sizes) else None}
            for k, camera in enumerate(value["intrinsics"])
            if isinstance(camera, dict)
        }
    prefixed: dict[str, dict[str, Any]] = {}
    for key, entry in content.items():
        prefix, dot, name = str(key).rpartition(".")
        if dot and re.fullmatch(r"(?i)camera\d*", prefix):  # ORB-SLAM
            prefixed.setdefault(prefix, {})[name] = entry
    shared = prefixed.pop("Camera", {})
    if prefixed or shared:
        return {name: shared | own for name, own in prefixed.items()} or {"Camera": shared}
    inner = {str(k): v for k, v in content.items() if isinstance(v, dict)}
    cameras = {
        k: v
        for k, v in inner.items()
        if {"intrinsics", "camera_matrix", "fx", "K"} & v.keys() and k not in _PARTS_OF_ONE
    }
    return {} if {"camera_matrix", "K", "k"} & content.keys() else cameras


def _camera_of(keys: Keys) -> Camera:
    keys.unfold(_INTRINSICS)
    distortion = keys.unfold(_COEFFICIENTS)
    width, height = _size_of(keys)
    named = _model_of(keys)
    shape, (fx, fy, cx, cy) = _pinhole_of(keys)
    if not shape:
        values = [keys.get([name]) for name in _SHAPES.get(lens_name(named), ())]
        shape = [value for value in values if value is not None]
    parameters = [as_number(x, "a parameter of the lens") for x in shape]
    coefficients = _coefficients_of(keys, lens_name(named))
    for inner in distortion.values():
        if inner and not coefficients and not lens_name(named) == "equidistant":
            raise CameraError(
                f"distortion_coefficients is {inner!r}: it lacks data, or k1, k2, ..."
            )
    model, numbers = lens_of(named, [*parameters, *coefficients])
    keys.refuse_unused()
    return Camera(width, height, fx, fy, cx, cy, model, numbers)


def _window_of(keys: Keys) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """Return region (left, top, width, height) and binning, as a CameraInfo states them; zeros for
    none."""
    roi = keys.get(["roi"])
    names = ("x_offset", "y_offset", "width", "height")
    values = [roi.get(name) for name in names] if isinstance(roi, dict) else [0] * 4
    left, top, width, height = (int(as_number(x or 0, "roi")) for x in values)
    across, down = (int(as_number(keys.get([f"binning{axis}"]) or 0, "binning")) for axis in "xy")
    return (left, top, width, height), (across, down)


def _size_of(keys: Keys) -> tuple[int, int]:
    size = keys.get(_SIZE)
    if isinstance(size, dict):
        size = [size.get("width"), size.get("height")]
    if isinstance(size, list) and len(size) == 2:
        return int(as_number(size[0], "width")), int(as_number(size[1], "height"))
    return int(keys.number(_WIDTH, "image_width")), int(keys.number(_HEIGHT, "image_height"))


def _model_of(keys: Keys) -> str:
    """Return the most specific name of the lens, passing over those of products."""
    given = [str(model) for model in (keys.get([name]) for name in _MODELS) if model]
    given = list(dict.fromkeys([*given, *keys.lenses()]))
    known = {lens_name(model): model for model in reversed(given)}
    if "equidistant" in known and {*PINHOLES} & known.keys():
        raise CameraError(
            f"names two distortion models, {' and '.join(known.values())}; leave one out"
        )
    for name in (*_SHAPES, *COEFFICIENTS):
        if name in known:
            return known[name]
    foreign = [model for model in given if _FOREIGN.search(model.lower())]
    stated = keys.get(["distortionmodel"])
    # Coefficients of a mere pinhole are those of OpenCV.
    return next(
        iter(foreign), str(stated) if stated else "" if "none" in known else "".join(given[:1])
    )


def _pinhole_of(keys: Keys) -> tuple[list[Any], list[float]]:
    """Return what stands before the focal lengths in a list of intrinsics, and fx, fy, cx, cy."""
    matrix = keys.get(_MATRIX)
    if matrix is not None:
        k = flattened(matrix, "camera_matrix")
        if len(k) != 9:
            raise CameraError(f"camera_matrix has {len(k)} numbers, not the 9 numbers of K")
        return [], list(pinhole_of([as_number(x, "one of camera_matrix") for x in k], "K"))
    listed = keys.get(["intrinsics"])
    if isinstance(listed, list) and len(k := flattened(listed, "intrinsics")) == 9:
        return [], list(pinhole_of([as_number(x, "one of intrinsics") for x in k], "intrinsics"))
    if isinstance(listed, list) and len(listed) >= 4:
        return listed[:-4], [as_number(x, "one of intrinsics") for x in listed[-4:]]
    if not keys.has(_PINHOLE["fx"]) and keys.has(_FOCAL):
        return [], [*_pair(keys.get(_FOCAL), "focal_length"), *_middle_of(keys)]
    return [], [keys.number(names, shown) for shown, names in _PINHOLE.items()]


def _middle_of(keys: Keys) -> list[float]:
    if keys.has(["principalpoint"]):
        return _pair(keys.get(["principalpoint"]), "principal_point")
    return [keys.number(_PINHOLE[name], name) for name in ("cx", "cy")]


def _pair(given: Any, name: str) -> list[float]:
    """Return two numbers of a list, or one number twice."""
    listed = flattened(given if isinstance(given, list) else [given, given], name)
    if len(listed) != 2:
        raise CameraError(f"{name} has {len(listed)} numbers, not two")
    return [as_number(x, name) for x in listed]


def _coefficients_of(keys: Keys, model: str) -> list[float]:
    """Return the coefficients of a list, or of k1, k2, p1, ... one by one, in OpenCV's order."""
    given = keys.get(_COEFFICIENTS)
    if given is not None:
        listed = flattened(given, "distortion_coefficients")
        return [as_number(x, "one of distortion_coefficients") for x in listed]
    names: tuple[str, ...] = _BROWN
    if model == "equidistant":  # VINS begins with k2
        names = ("k2", "k3", "k4", "k5") if keys.get(["k5"]) is not None else _RADIAL
    values = [keys.get([name]) for name in names]
    last = max((k + 1 for k, value in enumerate(values) if value is not None), default=0)
    count = min(n for n in (0, 4, 5, 8, 12, 14) if n >= last)
    return [as_number(value or 0, name) for name, value in zip(names, values[:count], strict=False)]
