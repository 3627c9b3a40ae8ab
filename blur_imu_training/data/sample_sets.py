"""Samples that are not rendered while training: sets on disk, and recordings of real cameras."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from blur_imu_ros.errors import BlurImuError, TrainingError
from blur_imu_training.data.averaged_frames import AveragedFrames
from blur_imu_training.data.gyro_recording import VELOCITIES, gyro_samples
from blur_imu_training.data.picture_sets import warn_of_skipped
from blur_imu_training.data.published_csv import PublishedSamples
from blur_imu_training.data.sample_folder import INDEX, SampleFolder
from blur_imu_training.data.scannetpp import VALIDATION_SCENES, averaged_scannetpp
from blur_imu_training.data.stray_scanner import averaged_stray_scanner, real_samples
from blur_imu_training.recipe import TrainingConfig
from blur_imu_training.rendering.samples import BlurredSample, cropped
from blur_imu_training.scene.sharp_images import refuse_empty

logger = logging.getLogger(__name__)

KNOWN = (
    f"{INDEX} of synthesize, a table (.csv) of the published code, a StrayScanner recording "
    f"(odometry.csv) or a folder of them, ScanNet++ ({VALIDATION_SCENES}), or frames beside "
    f"{VELOCITIES}"
)


class SampleSet(Protocol):
    """Samples by their number."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, index: int) -> BlurredSample:
        """Return one of them; RecordingError if it cannot be read."""


def open_samples(path: Path, width: int, height: int, exposure_time: float) -> SampleSet:
    """Return the samples of a set or recording.

    Args:
        path: what `KNOWN` lists.
        width, height: of the view of real frames, pixels; sets on disk have sizes of their own.
        exposure_time: seconds, of recordings that do not state it.

    Raises:
        TrainingError: it is nothing of that.
        RecordingError: it cannot be read, or nothing of it is usable.
    """
    if path.suffix == ".csv" or (path / INDEX).is_file():
        return _written(path)
    if (path / VALIDATION_SCENES).is_file():
        return _told(path, averaged_scannetpp(path, width, height, exposure_time))
    if next(path.glob("*/odometry.csv"), None) is not None:
        return _told(path, averaged_stray_scanner(path, width, height, exposure_time))
    if (path / "odometry.csv").is_file():
        found = list(real_samples(path, exposure_time, width, height))
    elif (path / VELOCITIES).is_file():
        found = list(gyro_samples(path, width, height))
    else:
        raise TrainingError(f"{path}: is not a set of samples; expected {KNOWN}")
    refuse_empty(found, path)
    return found


@lru_cache(maxsize=8)
def _written(path: Path) -> SampleSet:
    """Return a set on disk; each stage of a training asks for it, and all of it is read to check
    it."""
    return _told(path, PublishedSamples(path) if path.suffix == ".csv" else SampleFolder(path))


def _told(path: Path, found: PublishedSamples | SampleFolder | AveragedFrames) -> SampleSet:
    warn_of_skipped(str(path), found.skipped)
    return found


class SampleMixture:
    """Draws from several sets, each with its share, windows of the size that is trained on.

    Sample `index` is the same at every restart. What cannot be read any more is left out and
    listed.
    """

    def __init__(
        self, sets: Mapping[str, tuple[SampleSet, float]], width: int, height: int, seed: int
    ) -> None:
        """Take sets by their names with any positive shares; TrainingError if samples are too
        small."""
        self._names = list(sets)
        self._sets = [one for one, _ in sets.values()]
        shares = np.array([share for _, share in sets.values()], float)
        self._shares = shares / shares.sum()
        self._size, self._seed = (width, height), seed
        for name, one in zip(self._names, self._sets, strict=True):
            try:
                cropped(one[0], width, height, np.random.default_rng(0))
            except TrainingError as error:
                raise TrainingError(f"{name}: {error}") from error

    def __getitem__(self, index: int) -> BlurredSample:
        """Return sample `index`."""
        rng = np.random.default_rng((self._seed, index))
        chosen = int(rng.choice(len(self._sets), p=self._shares))
        samples = self._sets[chosen]
        begin = int(rng.integers(len(samples)))
        for number in range(begin, begin + len(samples)):
            try:
                return cropped(samples[number % len(samples)], *self._size, rng)
            except BlurImuError as error:
                logger.warning("%s: left out: %s", self._names[chosen], error)
        raise TrainingError(f"{self._names[chosen]}: no sample can be read any more")


def load_samples(
    config: TrainingConfig, data: Path | None, width: int, height: int
) -> SampleMixture:
    """Return the mixture of the sets that a recipe names, by their paths in the data folder."""
    sets: dict[str, tuple[SampleSet, float]] = {}
    for name, share in config.samples.items():
        samples = open_samples((data or Path()) / name, width, height, config.exposure_time)
        if samples[0].is_recorded and not (samples[0].depth_is_real or config.pseudo_labels):
            raise TrainingError(
                f"{name}: is a recording without depth; set pseudo_labels: true in the recipe"
            )
        sets[name] = samples, share
    return SampleMixture(sets, width, height, config.seed)
