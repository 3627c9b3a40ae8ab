"""The plot shows what may be used, marks what may not, and names what it cannot write."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from blur_imu_ros.errors import RecordingError
from blur_imu_ros.viz.plots import plot_velocities

T = np.arange(10.0)
VELOCITY = np.tile(np.linspace(-1, 1, 10)[:, None], 6)


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures drawn, kept open."""
    drawn: list[Figure] = []
    monkeypatch.setattr(plt, "close", drawn.append)
    return drawn


def test_each_velocity_has_its_unit(figure: list[Figure], tmp_path: Path) -> None:
    plot_velocities(tmp_path / "p.png", T, VELOCITY, title="a folder")
    labels = [axis.get_ylabel() for axis in figure[0].axes]
    assert labels == [
        "wx [rad/s]", "vx [m/s]", "wy [rad/s]", "vy [m/s]", "wz [rad/s]", "vz [m/s]"
    ]  # fmt: skip
    assert [axis.get_xlabel() for axis in figure[0].axes[-2:]] == ["time [s]"] * 2


@pytest.mark.parametrize("title", [r"a $\x$ folder", "caf\udce9"], ids=["mathematics", "letters"])
def test_a_title_is_shown_as_it_is(tmp_path: Path, title: str) -> None:
    plot_velocities(tmp_path / "p.png", T, VELOCITY, title=title)
    assert (tmp_path / "p.png").is_file()


def test_what_is_not_valid_is_marked_and_does_not_stretch_the_scale(
    figure: list[Figure], tmp_path: Path
) -> None:
    wild, valid = VELOCITY.copy(), np.ones(10, bool)
    wild[4], valid[4] = 1000.0, False
    plot_velocities(tmp_path / "p.png", T, wild, np.ones((10, 6)), valid=valid)
    axis = figure[0].axes[0]
    lines = {str(line.get_label()): line for line in axis.get_lines()}
    np.testing.assert_array_equal(np.isnan(lines["estimate"].get_ydata()), ~valid)
    np.testing.assert_array_equal(lines["not valid"].get_xdata(), [4])
    assert max(np.abs(axis.get_ylim())) < 2


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
@pytest.mark.parametrize("count", [0, 1, 10])
def test_series_of_any_length_are_drawn(tmp_path: Path, suffix: str, count: int) -> None:
    path = tmp_path / "new" / f"p.{suffix}"
    valid = np.zeros(count, bool)
    plot_velocities(path, T[:count], VELOCITY[:count], VELOCITY[:count] ** 2, valid=valid)
    assert path.stat().st_size > 1000


def test_velocities_that_are_not_known_leave_their_plot_empty(tmp_path: Path) -> None:
    velocity = VELOCITY.copy()
    velocity[:, 3:] = np.nan
    plot_velocities(tmp_path / "p.png", T, velocity, truth=(T, velocity))
    assert cv2.imread(str(tmp_path / "p.png")) is not None


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file/p.png", "p.unknown"):
        with pytest.raises(RecordingError, match=f"{name}: cannot be written"):
            plot_velocities(tmp_path / name, T, VELOCITY)
