"""Logs of real gyroscopes: how hands turn a camera while its shutter is open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Float64
from blur_imu_ros.errors import RecordingError
from blur_imu_training.scene.exposure_motion import ExposureMotion, RecordedMotion, Shutter

STEPS_PER_EXPOSURE = 12
LONGEST_GAP = 0.02
"""Seconds between readings; a piece of log does not go across a longer gap."""

STEADIEST_OF = 20
"""Pieces tried until one turns mostly one way: shaking to and fro blurs and has no mean motion."""

LEVER_ARM = ((0.0, 0.0, 0.25), (0.15, 0.15, 0.2))
"""Metres, mean and deviation: where the pivot of a hand lies from the camera."""


class RecordedTurns:
    """Angular velocities over time, of which exposures take pieces."""

    def __init__(self, logs: list[tuple[Float64, Float64]]) -> None:
        """Take logs of t (n,) in seconds, rising, and omega (n, 3) in rad/s."""
        self._logs = logs

    @classmethod
    def from_folder(cls, folder: Path) -> RecordedTurns:
        """Read every .txt: rows of nanoseconds and three rad/s; RecordingError names a bad one."""
        paths = sorted(folder.glob("*.txt"))
        if not paths:
            raise RecordingError(f"{folder}: holds no gyroscope logs (*.txt)")
        return cls([_read_log(path) for path in paths])

    def follow(
        self, motion: ExposureMotion, shutter: Shutter, rng: np.random.Generator
    ) -> ExposureMotion:
        """Return `motion` with the unevenness of a piece of a log; theta and t are kept.

        The piece is as long as exposure and read-out, turned and scaled so that its mean is theta.
        What it turns more or less than that moves the camera about a pivot. Returned as it is, if
        the camera does not turn or no piece found turns one way.
        """
        reach = 0.5 * (1 + shutter.skew)
        size = float(np.linalg.norm(motion.rotation))
        piece = self._steady_piece(shutter, reach, rng) if size > 0 else None
        if piece is None:
            return motion
        mean = RecordedMotion.from_rates(piece, np.zeros_like(piece), reach).rotation
        aligned = Rotation.align_vectors(motion.rotation[None], mean[None])[0].apply(piece)
        angular = aligned * (size / np.linalg.norm(mean))
        lever_arm = rng.normal(*LEVER_ARM)
        linear = motion.translation + np.cross(angular - motion.rotation, lever_arm)
        return RecordedMotion.from_rates(angular, linear, reach)

    def _steady_piece(
        self, shutter: Shutter, reach: float, rng: np.random.Generator
    ) -> Float64 | None:
        for _ in range(STEADIEST_OF):
            piece = self._piece(shutter.exposure_time * reach, _steps(reach), rng)
            if piece is None:
                continue
            motion = RecordedMotion.from_rates(piece, np.zeros_like(piece), reach)
            fastest = np.linalg.norm(piece, axis=1).max()
            if np.linalg.norm(motion.rotation) > 0.5 * fastest > 0.02:
                return piece
        return None

    def _piece(self, half: float, steps: int, rng: np.random.Generator) -> Float64 | None:
        """Return omega (steps, 3) over 2 * half seconds of a random log, None across a gap."""
        t, omega = self._logs[int(rng.integers(len(self._logs)))]
        if t[-1] - t[0] <= 2 * half:
            return None
        middle = rng.uniform(t[0] + half, t[-1] - half)
        times = middle + ((np.arange(steps) + 0.5) / steps * 2 - 1) * half
        first, last = np.searchsorted(t, (times[0], times[-1]))
        if np.diff(t[max(first - 1, 0) : last + 1]).max(initial=0) > LONGEST_GAP:
            return None
        return np.stack([np.interp(times, t, axis) for axis in omega.T], axis=1)


def _steps(reach: float) -> int:
    return min(48, int(np.ceil(2 * reach * STEPS_PER_EXPOSURE)))


def _read_log(path: Path) -> tuple[Float64, Float64]:
    try:
        rows = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: is not a gyroscope log: {error}") from error
    if rows.shape[1:] != (4,) or len(rows) < 2 or not np.all(np.isfinite(rows)):
        raise RecordingError(f"{path}: is not a gyroscope log: expected rows of ns, wx, wy, wz")
    t = (rows[:, 0] - rows[0, 0]) * 1e-9
    if not np.all(np.diff(t) > 0):
        raise RecordingError(
            f"{path}: time does not increase at row {int(np.argmin(np.diff(t) > 0))}"
        )
    return t, rows[:, 1:]
