"""Train a network for a given time; stop and resume at any second."""

from __future__ import annotations

import copy
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, default_collate

from blur_imu_ros.errors import TrainingError
from blur_imu_ros.networks.compact import CompactNetwork, normalise
from blur_imu_training.blurred_samples import SampleStream
from blur_imu_training.losses import field_loss
from blur_imu_training.panoramas import PanoramaFolder
from blur_imu_training.pose_loss import pose_loss
from blur_imu_training.recorded_turns import RecordedTurns
from blur_imu_training.reuse import reused
from blur_imu_training.room_pictures import RoomPictures
from blur_imu_training.scannetpp import scannetpp
from blur_imu_training.sharp_images import (
    NyuFolder,
    PhotoFolder,
    ProceduralPictures,
    SharpImages,
    WeightedMixture,
)
from blur_imu_training.stray_scanner import stray_scanner

logger = logging.getLogger(__name__)

SAVE_EVERY = 60.0
"""Seconds between checkpoints: what a kill may lose."""

OVERFIT_STEPS = 60

NYU_TRAINING = range(0, 1250)


@dataclass(frozen=True)
class Stage:
    """A part of the training: its share of the time, samples, batch and longest mean blur.

    `pose` is the weight of the error of the solved velocity; views should be whole for it.
    """

    share: float
    width: int
    height: int
    batch: int
    longest: float
    pose: float = 0.0


@dataclass(frozen=True)
class TrainingConfig:
    """The recipe, as in `configs/*.yaml`.

    `uses` is how often a rendered batch is trained on, each time mirrored or turned at random:
    rendering costs more than a step.
    """

    seed: int
    focal_reference: float
    peak_learning_rate: float
    weight_decay: float
    ema_decay: float
    pictures: dict[str, float]
    stages: tuple[Stage, ...]
    uses: int = 1

    @classmethod
    def load(cls, path: Path) -> TrainingConfig:
        """Read a YAML recipe; TrainingError names what is wrong with it."""
        try:
            content = yaml.safe_load(path.read_text())
            content["stages"] = tuple(Stage(**stage) for stage in content["stages"])
            return cls(**content)
        except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
            raise TrainingError(f"{path}: is no training recipe: {error}") from error


PICTURE_SETS: dict[str, Callable[[Path], SharpImages]] = {
    "nyuv2": lambda data: NyuFolder(data / "nyuv2", NYU_TRAINING),
    "photos": lambda data: PhotoFolder(data / "houses_indoor"),
    "procedural": lambda data: ProceduralPictures(),
    "rooms": lambda data: RoomPictures(),
    "panoramas": lambda data: PanoramaFolder(data / "hdri_cc0_ldr"),
    "scannetpp": lambda data: scannetpp(data / "scannetpp"),
    "strayscanner": lambda data: stray_scanner(data / "strayscanner"),
}
"""What `pictures` of a recipe may name, and how each is loaded from the data folder."""


def load_pictures(shares: dict[str, float], data: Path | None) -> WeightedMixture:
    """Return the mixture of `shares`; without a data folder, what is made from nothing.

    Motion follows the gyroscope logs of `data / "gyro_traces"` where there are some.
    """
    if data is None:
        return WeightedMixture([(ProceduralPictures(), 1.0), (RoomPictures(), 1.0)])
    sets: list[tuple[SharpImages, float]] = []
    for name, share in shares.items():
        if name not in PICTURE_SETS:
            raise TrainingError(f"pictures: '{name}' is not known; use {', '.join(PICTURE_SETS)}")
        pictures = PICTURE_SETS[name](data)
        sets.append((pictures, share))
        if skipped := pictures.skipped:
            listed = ", ".join([*skipped[:5], *(["..."] if len(skipped) > 5 else [])])
            logger.warning("%s: %d pictures left out: %s", name, len(skipped), listed)
    logs = data / "gyro_traces"
    return WeightedMixture(sets, RecordedTurns.from_folder(logs) if logs.is_dir() else None)


class _Samples(Dataset[dict[str, Any]]):
    def __init__(self, stream: SampleStream, start: int, focal_reference: float) -> None:
        self._stream, self._start, self._focal = stream, start, focal_reference

    def __len__(self) -> int:
        return 1_000_000_000

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._stream[self._start + index].tensors(self._focal)


class Trainer:
    """Network, its moving average, optimizer and clock of one run, all of it in one folder."""

    def __init__(
        self,
        config: TrainingConfig,
        data: Path | None,
        folder: Path,
        minutes: float,
        weights: Path | None = None,
    ) -> None:
        """Start a run in `folder`, from `weights` if given, or go on with the one that is there."""
        self.config, self.folder, self.seconds = config, folder, minutes * 60
        torch.manual_seed(config.seed)
        # Half of the cores render; a thread that waits for a busy core would hold up the other.
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
        # Workers are forked, and OpenCV's thread pool does not survive that.
        cv2.setNumThreads(1)
        self.network = CompactNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if weights is not None:
            self.network.load_state_dict(_weights(weights, self.network))
        self.average = copy.deepcopy(self.network)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=1e-4, weight_decay=config.weight_decay, betas=(0.9, 0.99)
        )
        self.pictures = load_pictures(config.pictures, data)
        self.step, self.samples, self.elapsed = 0, 0, 0.0
        self._rng = np.random.default_rng(config.seed)
        self._stop = False
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "state.safetensors").exists():
            self._resume()

    # --- the loop ---------------------------------------------------------------------------

    def run(self) -> None:
        """Train until the time is over or a signal comes; the state is saved either way."""
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        if self.step == 0:
            self._check_that_it_learns()
        saved = logged = time.monotonic()
        sums: dict[str, float] = {}
        count = 0
        for losses, stage in self._steps():
            count += 1
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
            now = time.monotonic()
            if now - logged > 20:
                self._log({name: value / count for name, value in sums.items()}, stage)
                sums, count, logged = {}, 0, now
            if now - saved > SAVE_EVERY:
                self.save()
                saved = now
        self.save()

    def _steps(self) -> Iterator[tuple[dict[str, float], int]]:
        while not self._finished():
            number = self._stage_number()
            loader = self._loader(self.config.stages[number])
            clock = time.monotonic()
            for batch in reused(loader, self.config.uses, self._rng):
                losses = self._train_step(batch, self.config.stages[number])
                now = time.monotonic()
                self.elapsed += now - clock
                clock = now
                yield losses, number
                if self._finished() or self._stage_number() != number:
                    break
            del loader

    def _train_step(self, batch: dict[str, Tensor], stage: Stage) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self.network.train()
        image = normalise(batch["image"]).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            out = self.network(image)
        losses = field_loss(out, batch)
        if stage.pose:
            losses["pose"] = pose_loss(out, batch)
            losses["total"] = losses["total"] + stage.pose * losses["pose"]
        self.optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        self.optimizer.step()
        self.step += 1
        self.samples += len(image)
        self._update_average()
        return {name: float(value.detach()) for name, value in losses.items()}

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        targets = self.average.state_dict()
        for name, value in self.network.state_dict().items():
            if value.dtype.is_floating_point:
                targets[name].lerp_(value, 1 - decay)
            else:
                targets[name].copy_(value)

    def _check_that_it_learns(self) -> None:
        """Overfit one small batch with a copy; a recipe that cannot do that learns nothing else."""
        stage = self.config.stages[0]
        stream = SampleStream(self.pictures, 96, 96, stage.longest, self.config.seed)
        samples = [stream[i].tensors(self.config.focal_reference) for i in range(4)]
        batch = default_collate(samples)
        network = copy.deepcopy(self.network)
        optimizer = torch.optim.AdamW(network.parameters(), lr=self.config.peak_learning_rate)
        image = normalise(batch["image"])
        history = []
        for _ in range(OVERFIT_STEPS):
            losses = field_loss(network(image), batch)
            optimizer.zero_grad(set_to_none=True)
            losses["total"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            history.append(float(losses["field"].detach()))
        if not history[-1] < 0.7 * history[0]:
            raise TrainingError(
                f"one batch cannot be learned by heart: the field loss went from {history[0]:.2f} "
                f"to {history[-1]:.2f}; lower the learning rate, or look at the samples"
            )

    # --- the schedule -----------------------------------------------------------------------

    def _progress(self) -> float:
        return min(1.0, self.elapsed / self.seconds)

    def _finished(self) -> bool:
        return self._stop or self._progress() >= 1

    def _stage_number(self) -> int:
        reached = 0.0
        for number, stage in enumerate(self.config.stages):
            reached += stage.share
            if self._progress() < reached - 1e-9:
                return number
        return len(self.config.stages) - 1

    def _learning_rate(self) -> float:
        """One cycle: up over 3 % of the time (200 steps at least), down along a cosine."""
        warm_up = min(1.0, self.step / 200, self._progress() / 0.03 + self.step / 1000)
        fall = 0.5 * (1 + np.cos(np.pi * self._progress()))
        return float(self.config.peak_learning_rate * max(warm_up, 0.05) * (0.01 + 0.99 * fall))

    def _loader(self, stage: Stage) -> DataLoader[dict[str, Any]]:
        stream = SampleStream(
            self.pictures, stage.width, stage.height, stage.longest, self.config.seed
        )
        workers = os.cpu_count() or 1
        return DataLoader(
            _Samples(stream, self.samples // self.config.uses, self.config.focal_reference),
            batch_size=stage.batch,
            num_workers=workers,
            prefetch_factor=3,
            worker_init_fn=_quiet_worker,
        )

    # --- the folder -------------------------------------------------------------------------

    def save(self) -> None:
        """Write the whole state; a kill while writing leaves the one before."""
        tensors = {f"network.{k}": v.contiguous() for k, v in self.network.state_dict().items()}
        tensors |= {f"average.{k}": v.contiguous() for k, v in self.average.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v.contiguous() for k, v in state.items()}
        progress = {"step": self.step, "samples": self.samples, "elapsed": self.elapsed}
        metadata = {"progress": progress, "recipe": asdict(self.config)}
        partial = self.folder / "state.partial"
        save_file(tensors, partial, {name: json.dumps(text) for name, text in metadata.items()})
        partial.replace(self.folder / "state.safetensors")

    def _resume(self) -> None:
        path = self.folder / "state.safetensors"
        with safe_open(path, "pt") as file:
            progress = json.loads(file.metadata()["progress"])
        tensors = load_file(path)
        self.network.load_state_dict(_part(tensors, "network."))
        self.average.load_state_dict(_part(tensors, "average."))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(tensors, "optimizer.").items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.step, self.samples = progress["step"], progress["samples"]
        self.elapsed = progress["elapsed"]

    def _ask_to_stop(self, *_: object) -> None:
        self._stop = True

    def _log(self, losses: dict[str, float], stage: int) -> None:
        row = {"minutes": self.elapsed / 60, "samples": self.samples, "stage": stage, **losses}
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({k: round(v, 4) for k, v in row.items()}) + "\n")


def _weights(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """Return the weights of a file; TrainingError names the first that is not of this network."""
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path}: cannot be read as weights (.safetensors): {error}") from error
    expected = network.state_dict()
    for name in [*expected, *found]:
        ours, theirs = (list(t[name].shape) if name in t else "none" for t in (expected, found))
        if ours != theirs:
            raise TrainingError(
                f"{path}: is of another architecture: '{name}' is {theirs} there and {ours} here"
            )
    return found


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def _quiet_worker(_: int) -> None:
    """Leave signals to the main process, which asks its workers to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
