"""The method as the node runs it: a frame in, the measurements that it decides out."""

from __future__ import annotations

import time
from collections import deque

from blur_imu_ros.choices import Direction
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.network.blur_network import Loader
from blur_imu_ros.ros.parameters import Settings

COUNTED = 300
"""Images over which diagnostics count how many could be registered on the one before, and how many
showed both ends of their blur."""


class Chain:
    """Model and tracker, of one thread at a time.

    Attributes:
        model: name of the model.
        runs_on: what runs it, and where.
        view: (width, height) that it sees, pixels.
        measuring: seconds that the last frame took.
    """

    def __init__(self, settings: Settings, load: Loader) -> None:
        """Load and warm up the model.

        Args:
            settings: of the parameters.
            load: gives the network.

        Raises:
            BlurImuError: the model cannot be had.
        """
        network = load(settings.model, settings.backend, settings.device, settings.threads)
        network.warm_up()
        self.model, self.runs_on = network.name, network.runs_on
        self._registers = settings.registration and settings.direction is not Direction.NONE
        self.view = network.input_size
        self._imu = settings.method.visual_imu(
            network,
            settings.direction,
            settings.pivot,
            settings.linear_scale,
            self._registers,
        )
        self.start_anew()

    def start_anew(self) -> None:
        """Forget everything that was learnt of frames."""
        self._tracker = self._imu.tracker()
        self._pairs: deque[bool] = deque(maxlen=COUNTED)
        self._read: deque[bool] = deque(maxlen=COUNTED)
        self._quality = self._autocorrelation = 0.0
        self.measuring = 0.0

    def push(self, frame: Frame) -> list[Measurement]:
        """Measure a frame; return the measurements decided by it, oldest first."""
        begun = time.monotonic()
        decided = self._tracker.push(self._imu.measure(frame))
        self.measuring = time.monotonic() - begun
        for measurement in decided:
            self._quality = measurement.estimate.registration_quality
            self._pairs.append(self._quality > 0)
            self._autocorrelation = measurement.estimate.autocorrelation
            self._read.append(self._autocorrelation > 0)
        return decided

    def flush(self) -> list[Measurement]:
        """Return the measurements that wait, and forget the past but for the lever arm."""
        return self._tracker.flush()

    def facts(self) -> dict[str, str]:
        """Return what diagnostics show of it."""
        pivot, facts = self._tracker.pivot, {}
        if pivot is not None:
            facts["lever arm [m]"] = str(pivot) if pivot.trusted else "none fits"
        if self._registers and self._pairs:
            facts["registration quality"] = f"{self._quality:.2f}"
            facts["images registered [%]"] = _share(self._pairs)
        if self._read:
            facts["autocorrelation"] = f"{self._autocorrelation:.2f}"
            facts["images with autocorrelation [%]"] = _share(self._read)
        return facts


def _share(found: deque[bool]) -> str:
    listed = list(found)
    return f"{100 * sum(listed) / len(listed):.0f}"
