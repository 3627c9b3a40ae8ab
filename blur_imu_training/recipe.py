"""What a training run is to do, as in `configs/*.yaml`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from blur_imu_ros.errors import TrainingError

SHIPPED = Path(__file__).parent / "configs"

CELL, COARSEST = 8, 32
"""Pixels. Sides of samples are multiples of the first; of those a network sees, of the second."""

KINDS = ("compact", "published")
"""Networks; what belongs to each is in `tasks.py`."""

RENDERING = ("auto", "workers", "device")
"""By one process for each core, by the device that trains, or by that unless it is the CPU."""

LASTING = ("network", "focal_reference")
"""What a run keeps to its end: with another one its weights would mean something else."""


@dataclass(frozen=True)
class Stage:
    """A part of the training: its share of the time, samples, batch and longest mean blur.

    `pose` is the weight of the error of the solved velocity; views should be whole for it. A batch
    is calculated in so many `parts`, one after the other, where all of it would not fit into
    memory.
    """

    share: float
    width: int
    height: int
    batch: int
    longest: float
    pose: float = 0.0
    parts: int = 1


@dataclass(frozen=True)
class NetworkChoice:
    """Which network is trained.

    Attributes:
        kind: `compact` or `published`; what follows is of the compact one.
        widths: at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size.
        blocks: residual ones at 1/4 to 1/32.
        head_blocks: residual ones before the output.
        kernel: side of what its residual blocks look at, pixels of their own grids; odd.
        structure_tensor: whether it is shown the local directions of gradients.
        uncertainty: whether it predicts how certain each cell is; else all are alike.
        directed: whether that depends on the direction.
        width, height: of the view that it is given when it is used, of either kind.
        smaller_view: width and height of the view in which it reads long blur, or None.
    """

    kind: str = "compact"
    widths: tuple[int, ...] = (24, 40, 80, 144, 192)
    blocks: tuple[int, ...] = (1, 2, 3, 2)
    head_blocks: int = 2
    kernel: int = 3
    structure_tensor: bool = True
    uncertainty: bool = True
    directed: bool = False
    width: int = 320
    height: int = 224
    smaller_view: tuple[int, int] | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> NetworkChoice:
        """Return the choice with these entries."""
        tuples = ("widths", "blocks", "smaller_view")
        lists = {k: tuple(content[k]) for k in tuples if content.get(k) is not None}
        choice = cls(**{**content, **lists})
        if choice.kind not in KINDS:
            raise ValueError(f"network kind '{choice.kind}' is not known; use {', '.join(KINDS)}")
        if (len(choice.widths), len(choice.blocks)) != (5, 4):
            raise ValueError("a network has five widths and four numbers of blocks")
        if choice.directed and not (choice.uncertainty and choice.kind == "compact"):
            raise ValueError("network: directed is of the compact one, with its uncertainty")
        if choice.kernel % 2 != 1 or choice.kernel < 3:
            raise ValueError(f"kernel: {choice.kernel} is not an odd number of pixels from 3 on")
        if choice.width % COARSEST or choice.height % COARSEST or choice.width * choice.height == 0:
            raise ValueError(
                f"network: {choice.width}x{choice.height} is not a multiple of {COARSEST}"
            )
        if choice.smaller_view and any(side % COARSEST for side in choice.smaller_view):
            raise ValueError(f"network: smaller_view is no multiple of {COARSEST}")
        return choice

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its view."""
        return self.width, self.height


@dataclass(frozen=True)
class HeldOut:
    """Validation within the training: on how many frames, and the share of the time it may take."""

    frames: int = 24
    share: float = 0.04


@dataclass(frozen=True)
class TrainingConfig:
    """The recipe.

    Attributes:
        pictures: sets of sharp pictures to blur, and their shares; see `picture_sets.py`.
        samples: instead of them, sets of samples and recordings by their paths in the data folder;
            see `sample_sets.py`.
        uses: how often a rendered batch is trained on, each time mirrored or turned at random:
            rendering costs more than a step.
        pseudo_labels: whether recorded frames keep, as their field and depth, what the weights
            that the run began with made of them; then only their pose teaches anything new.
        exposure_time: seconds, of recordings that do not state it.
        rendering: where pictures are blurred; see `RENDERING`.
    """

    seed: int
    focal_reference: float
    peak_learning_rate: float
    weight_decay: float
    ema_decay: float
    stages: tuple[Stage, ...]
    pictures: dict[str, float] = field(default_factory=dict)
    samples: dict[str, float] = field(default_factory=dict)
    uses: int = 1
    pseudo_labels: bool = False
    exposure_time: float = 0.01
    rendering: str = "auto"
    network: NetworkChoice = field(default_factory=NetworkChoice)
    validation: HeldOut = field(default_factory=HeldOut)

    @classmethod
    def load(cls, path: Path) -> TrainingConfig:
        """Read a YAML recipe; TrainingError names what is wrong with it."""
        try:
            return cls.of(yaml.safe_load(path.read_text()))
        except (OSError, yaml.YAMLError, TypeError, KeyError, ValueError) as error:
            raise TrainingError(f"{path}: is not a training recipe: {error}") from error

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> TrainingConfig:
        """Return the recipe with these entries; ValueError and its like say what is wrong."""
        parts: dict[str, Any] = dict(content)
        parts["stages"] = tuple(Stage(**stage) for stage in parts["stages"])
        parts["network"] = NetworkChoice.of(parts.get("network", {}))
        parts["validation"] = HeldOut(**parts.get("validation", {}))
        config = cls(**parts)
        config._check()
        return config

    def entries(self) -> dict[str, Any]:
        """Return the recipe as JSON holds it."""
        return dict(json.loads(json.dumps(asdict(self))))

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """Return the names of what is not as in the entries of another recipe."""
        theirs = TrainingConfig.of(other).entries()
        return [name for name, value in self.entries().items() if theirs[name] != value]

    def check_trainable(self) -> None:
        """Refuse sizes that no network takes; they may do for sets of samples."""
        for stage in self.stages:
            if stage.width % COARSEST or stage.height % COARSEST:
                size = f"{stage.width}x{stage.height}"
                raise TrainingError(
                    f"stages: {size} is not a multiple of {COARSEST}, as networks need"
                )

    def _check(self) -> None:
        if not self.stages or not (self.pictures or self.samples):
            raise ValueError("stages, and pictures or samples, must not be empty")
        if self.pictures and self.samples:
            raise ValueError("there are pictures and samples; train on one of them after the other")
        if self.rendering not in RENDERING:
            raise ValueError(f"rendering: '{self.rendering}' is none of {', '.join(RENDERING)}")
        for part in (self, self.validation, *self.stages):
            _check_numbers(part)
        for stage in self.stages:
            if stage.width % CELL or stage.height % CELL:
                raise ValueError(f"{stage.width}x{stage.height} is not a multiple of {CELL}")
        for name, share in {**self.pictures, **self.samples}.items():
            _check_number(f"share of {name}", share, 0)


_LEAST = {"share": 0, "width": CELL, "height": CELL, "batch": 1, "parts": 1, "uses": 1}


def _check_numbers(part: Any) -> None:
    for one in fields(part):
        if one.type in ("int", "float"):
            _check_number(one.name, getattr(part, one.name), _LEAST.get(one.name, 0))
        if one.type == "int" and not isinstance(getattr(part, one.name), int):
            raise ValueError(f"{one.name}: {getattr(part, one.name)} is not a whole number")


def _check_number(name: str, value: Any, least: float) -> None:
    if not isinstance(value, (int, float)):
        raise ValueError(f"{name}: '{value}' is not a number; YAML wants 1.0e-4, not 1e-4")
    if not least <= value < float("inf"):
        raise ValueError(f"{name}: {value:g} is less than {least:g}, or endless")


def recipe_path(name_or_path: Path) -> Path:
    """Return a recipe file, given its path or the name of a shipped one; TrainingError lists
    those."""
    if name_or_path.suffix or name_or_path.is_file():
        return name_or_path
    path = SHIPPED / f"{name_or_path}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.yaml")))
        raise TrainingError(
            f"{name_or_path}: is not a file, and no shipped recipe; these are {names}"
        )
    return path
