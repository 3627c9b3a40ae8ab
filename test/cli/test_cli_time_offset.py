"""A time offset that is given is applied, whatever the axes of the ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.command_line import CommandLine


def written(path: Path, t: np.ndarray, clock: float) -> Path:
    omega = np.stack([np.sin(3 * t), np.cos(2 * t), np.sin(5 * t + 1)], axis=1)
    table = np.column_stack([t + clock, omega])
    np.savetxt(path, table, delimiter=",", header="t,wx,wy,wz", comments="", fmt="%.6f")
    return path


@pytest.mark.parametrize("axes", ["optical", "gyro"])
def test_a_given_offset_is_applied_with_known_axes(
    blur_imu: CommandLine, tmp_path: Path, axes: str
) -> None:
    estimate = written(tmp_path / "est.csv", np.arange(0, 4, 1 / 30), 0.0)
    truth = written(tmp_path / "gyro.csv", np.arange(-1, 6, 0.01), 100.0)
    given = ["--truth-axes", axes, "--axes", axes]
    told = blur_imu("evaluate", estimate, truth, *given, "--time-offset", 100.0)
    assert told.status == 0 and "time offset +100.0000 s (given and applied" in told.out
    assert "correlation" in told.out and "1.00" in told.out
    for wrong in ([], ["--time-offset", 1e9]):
        assert "can be compared" in blur_imu("evaluate", estimate, truth, *given, *wrong).refusal
