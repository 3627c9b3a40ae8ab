"""Trajectories as other systems write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blur_imu_ros.simulation.room_renderer import Trajectory


def write_tum(path: Path, trajectory: Trajectory, t: np.ndarray) -> Path:
    poses = [trajectory.pose(float(time)) for time in t]
    rows = [[*p.position, *p.rotation.as_quat()] for p in poses]
    np.savetxt(path, np.column_stack([t, rows]), header="t x y z qx qy qz qw")
    return path
