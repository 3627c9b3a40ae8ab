"""Files from outside are read, or refused by an error of ours; nothing else ever happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from blur_imu_ros.core.series import VELOCITIES
from blur_imu_ros.errors import BlurImuError
from blur_imu_ros.network.model_card import INTERFACE, ModelCard
from blur_imu_ros.recordings.camera_files import load_camera, load_exposure_time
from blur_imu_ros.recordings.csv_tables import read_series
from blur_imu_ros.recordings.timestamp_files import read_timestamps
from blur_imu_ros.recordings.trajectories import read_poses
from blur_imu_ros.recordings.velocities import read_velocities

fuzz = settings(max_examples=150, deadline=None, derandomize=True)

plain = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.integers(-2, 2000)
    | st.floats()
    | st.text(max_size=12)
)
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=9,
)
cells = st.one_of(
    st.floats().map(repr), st.integers(-5, 5).map(str), st.text(max_size=5), st.just("")
)

CAMERA = {
    "image_width": 640,
    "image_height": 480,
    "fx": 500.0,
    "fy": 500.0,
    "cx": 320.0,
    "cy": 240.0,
    "distortion_model": "plumb_bob",
    "distortion_coefficients": [0.0] * 5,
    "exposure_time": 0.01,
}
ROS_CAMERA = {
    "image_width": 640,
    "image_height": 480,
    "camera_matrix": {"rows": 3, "cols": 3, "data": [500.0, 0, 320, 0, 500, 240, 0, 0, 1]},
    "distortion_model": "plumb_bob",
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.0] * 5},
}
CARD = {
    "name": "test",
    "interface": INTERFACE,
    "width": 320,
    "height": 224,
    "stride": 8,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.2, 0.2, 0.2],
    "focal_reference": 250.0,
    "sha256": "0" * 64,
}
READERS: list[Callable[[Path], Any]] = [
    load_camera,
    load_exposure_time,
    ModelCard.load,
    read_series,
    read_timestamps,
    read_poses,
    read_velocities,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def result_or_refusal(read: Callable[[Path], Any], path: Path) -> Any:
    """What was read, or None where it was refused in one line that names the file."""
    try:
        return read(path)
    except BlurImuError as error:
        assert path.name in str(error)
        return None


def damaged(content: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The content with some of its values, at the top or one level down, replaced or left out."""
    keys = st.sampled_from(sorted(content))
    replaced = st.dictionaries(keys, values, min_size=1, max_size=3)
    deeper = {k: v for k, v in content.items() if isinstance(v, dict)}
    inside = st.sampled_from(sorted(deeper)) if deeper else st.nothing()
    nested = st.tuples(inside, st.sampled_from(["data", "rows"]), values).map(
        lambda change: content | {change[0]: content[change[0]] | {change[1]: change[2]}}
    )
    missing = keys.map(lambda key: {k: v for k, v in content.items() if k != key})
    return replaced.map(lambda change: content | change) | missing | nested


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__qualname__)
@fuzz
@given(content=st.binary(max_size=200))
def test_bytes_of_any_kind(folder, read, content):
    for name in ("file.csv", "file.tum"):
        (folder / name).write_bytes(content)
        result_or_refusal(read, folder / name)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__qualname__)
@fuzz
@given(content=st.text(alphabet="t,wxyz 01.-e\n\r\"'[]{}:#nai&*!|>%@`\t", max_size=80))
def test_text_that_looks_a_little_like_it(folder, read, content):
    path = folder / "file.txt"
    path.write_text(content)
    result_or_refusal(read, path)


@pytest.mark.parametrize("content", [CAMERA, ROS_CAMERA], ids=["flat", "ros"])
def test_damaged_cameras(folder, content):
    @fuzz
    @given(damaged(content))
    def check(changed: dict[str, Any]) -> None:
        path = folder / "camera.yaml"
        path.write_text(yaml.safe_dump(changed))
        camera = result_or_refusal(load_camera, path)
        if camera is not None:
            assert np.isfinite(camera.matrix).all() and camera.width > 0 and camera.fx > 0
        exposure = result_or_refusal(load_exposure_time, path)
        assert exposure is None or isinstance(exposure, float)

    check()


@fuzz
@given(changed=damaged(CARD))
@example(changed=CARD | {"focal_reference": 10**400})
def test_damaged_model_cards(folder, changed):
    path = folder / "card.json"
    path.write_text(json.dumps(changed))
    result_or_refusal(ModelCard.load, path)


@fuzz
@given(
    names=st.lists(st.sampled_from(["t", *VELOCITIES, "s_wx", "valid", "blur_px", "frame", "x"])),
    rows=st.lists(st.lists(cells, max_size=9), max_size=4),
)
def test_tables_of_odd_shapes_and_cells(folder, names, rows):
    path = folder / "table.csv"
    path.write_text("\n".join(",".join(row) for row in [names, *rows]))
    series = result_or_refusal(read_series, path)
    if series is not None:
        assert np.all(np.diff(series.t) > 0)
        assert series.velocity.shape == (len(series.t), 6)
        assert series.valid.dtype == bool


@fuzz
@given(rows=st.lists(st.lists(cells, min_size=7, max_size=9), max_size=4))
def test_trajectories_of_odd_cells(folder, rows):
    path = folder / "poses.tum"
    path.write_text("\n".join(" ".join(row) for row in rows))
    poses = result_or_refusal(read_poses, path)
    if poses is not None:
        assert np.isfinite(poses.position).all()
