"""The gyroscope in a video of an action camera is read by an optional library."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.velocities import read_velocities
from helpers.gopro import SCALE, write_gopro

T = np.arange(600) / 200
OMEGA = np.stack([1 + 0 * T, 2 * np.sin(3 * T), T - 0.5], axis=1)


def test_what_a_gopro_measured_is_read(tmp_path: Path) -> None:
    pytest.importorskip("telemetry_parser")
    series = read_velocities(write_gopro(tmp_path / "GX010001.MP4", OMEGA, 200))
    np.testing.assert_allclose(series.t, T, atol=1e-3)
    np.testing.assert_allclose(series.velocity[:, :3], OMEGA, atol=0.6 / SCALE)


@pytest.mark.parametrize("content", [b"", b"no video", bytes(1000)])
def test_a_video_without_a_gyroscope_is_refused(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("telemetry_parser")
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"video\.mp4: .*finds no gyroscope.*Gyroflow"):
        read_velocities(path)


def test_the_library_is_named_where_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "telemetry_parser", None)
    with pytest.raises(RecordingError, match="pip install telemetry-parser, or let Gyroflow"):
        read_velocities(write_gopro(tmp_path / "video.mp4", OMEGA, 200))
