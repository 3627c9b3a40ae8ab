"""The card beside a model: what goes in, what comes out, and how well it was measured to work."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from blur_imu_ros.errors import ModelError

INTERFACE = "blur_field/1"
"""What our own networks speak."""
DIRECTED = "blur_field/2"
"""The same with a precision that depends on the direction."""
SIGNED_FLOW = "signed_flow/1"
"""What the published network speaks."""

LARGEST_SIDE = 4096
"""Pixels of a network's input."""

LARGEST_DEPTH_SLOPE = 3.0
"""Several times what held-out frames showed of any network (0.7); more is a mistake."""

LEAST_ACROSS_RATIO = 0.1
"""A third of the least that held-out frames showed in any range of lengths (0.31)."""

REFERENCE_LENGTH = 10.0
"""Pixels of blur at which the correction of lengths is `length_scale`."""

OUTPUTS = {
    INTERFACE: ("q", "log_inverse_depth", "log_sigma"),
    DIRECTED: ("q", "log_inverse_depth", "log_sigma", "anisotropy"),
    SIGNED_FLOW: ("flow", "depth"),
}
"""Outputs of each interface that this version understands: see `ModelCard`."""


@dataclass(frozen=True)
class ModelCard:
    """Description of `<name>.onnx`, stored as `<name>.json`.

    Attributes:
        name: of the model.
        interface: inputs and outputs. All take `image` (1, 3, height, width), RGB scaled to 0..1,
            minus `mean`, over `std`. `blur_field/1` gives, on cells, `q` (double-angle field,
            pixels), `log_inverse_depth` (of 1/m at `focal_reference`) and `log_sigma` (of q in
            pixels and of log depth). `blur_field/2` gives `anisotropy` (1, 2, rows, columns) as
            well: by which the deviation of the motion depends on the direction, as in `BlurField`;
            `log_sigma` is the mean over directions then. `signed_flow/1` gives, for every pixel,
            `flow` (1, 2, height, width; pixels over the exposure) and `depth` (1, 1, height, width;
            metres at `focal_reference`).
        width, height: of the input, pixels.
        any_size: whether the model also takes images of other sizes, in multiples of 32 pixels.
        smaller_view: (width, height) of the view in which long motion blur is read, pixels; None
            where there is none.
        stride: side of a cell of the blur field, pixels; dense outputs are averaged over it.
        mean, std: of the input's channels.
        focal_reference: pixels; depth is predicted for this focal length, and what a lens twice as
            long sees is twice as far away.
        sha256: of the ONNX file.
        weights_sha256: of the weights for the torch backend (.safetensors); empty where there are
            none.
        training: data with terms, recipe, seed, samples.
        metrics: measured figures.
        length_scale: factor on predicted blur of `REFERENCE_LENGTH`, from held-out frames of
            another camera pipeline (`blur-imu validate --calibrate`).
        length_exponent: power of the length over `REFERENCE_LENGTH` with which that factor grows: a
            network in doubt takes short blur for longer than it is, and long blur for shorter.
        depth_slope: how fast the logarithm of inverse depth grows downwards beyond what is
            predicted, per unit of the tangent to the optical axis, from held-out frames: what is
            below in an image is mostly nearer, and a convolution does not know where in the image
            it is.
        sigma_scale: factor on the predicted standard deviation of the field, from held-out frames.
        across_ratio: of `blur_field/1`: standard deviation of the motion across the blur over that
            along it, which is the one that the model predicts; from held-out frames. 1 takes all
            directions for equally sure.
        flow_sigma: of `signed_flow/1`, which predicts no uncertainty: the standard
            deviation of its flow, pixels; taken for shared by the whole image.
        log_depth_sigma: of `signed_flow/1`: the standard deviation of the logarithm of its depth.
    """

    name: str
    interface: str
    width: int
    height: int
    stride: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    focal_reference: float
    sha256: str
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    length_scale: float = 1.0
    length_exponent: float = 0.0
    depth_slope: float = 0.0
    sigma_scale: float = 1.0
    across_ratio: float = 1.0
    flow_sigma: float = 0.0
    log_depth_sigma: float = 0.0
    weights_sha256: str = ""
    smaller_view: tuple[int, int] | None = None
    any_size: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the model's outputs, in the order in which they are read."""
        return OUTPUTS[self.interface]

    def save(self, path: Path) -> None:
        """Write the card as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> ModelCard:
        """Read a card; ModelError names the file and what is wrong."""
        try:
            content = json.loads(path.read_text())
            content["mean"], content["std"] = tuple(content["mean"]), tuple(content["std"])
            if content.get("smaller_view") is not None:
                content["smaller_view"] = tuple(content["smaller_view"])
            card = cls(**content)
            card.check(path)
        except OSError as error:
            raise ModelError(
                f"{path}: the model's card cannot be read: {error.strerror}"
            ) from error
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"{path}: is not a model card: {error}") from error
        return card

    def check(self, path: Path) -> None:
        """Refuse, naming `path`, what this version cannot read."""
        if self.interface not in OUTPUTS:
            raise ModelError(
                f"{path}: interface '{self.interface}' is not known; this version reads "
                f"{', '.join(OUTPUTS)}"
            )
        self._check_values(path)
        self._check_any_size(path)
        if self.smaller_view is not None:
            self._check_smaller_view(path, self.smaller_view)
        if not abs(self.length_exponent) < 1:
            raise ModelError(f"{path}: length_exponent must lie between -1 and 1")
        if not abs(self.depth_slope) <= LARGEST_DEPTH_SLOPE:
            raise ModelError(
                f"{path}: depth_slope must lie between -{LARGEST_DEPTH_SLOPE:g} and "
                f"{LARGEST_DEPTH_SLOPE:g}"
            )
        if self.interface != SIGNED_FLOW:
            return
        if not (self.flow_sigma > 0 and self.log_depth_sigma > 0):
            raise ModelError(
                f"{path}: {SIGNED_FLOW} needs a positive flow_sigma and log_depth_sigma"
            )
        if self.stride < 1 or self.width % self.stride or self.height % self.stride:
            raise ModelError(
                f"{path}: cells of {self.stride} pixels do not fill {self.width}x{self.height}"
            )

    def _check_values(self, path: Path) -> None:
        """Refuse what is of another type, not finite, or larger than memory should be asked for."""
        if not all(isinstance(text, str) for text in (self.name, self.sha256, self.weights_sha256)):
            raise ModelError(f"{path}: name, sha256 and weights_sha256 must be texts")
        sizes = (self.width, self.height, self.stride)
        if not all(type(size) is int and 1 <= size <= LARGEST_SIDE for size in sizes):
            raise ModelError(
                f"{path}: width, height and stride must be whole pixels, at most {LARGEST_SIDE}"
            )
        if not len(self.mean) == len(self.std) == 3:
            raise ModelError(f"{path}: mean and std must have three numbers, for red, green, blue")
        for name in _NUMBERS:
            values = getattr(self, name)
            if not all(map(_is_number, values if isinstance(values, tuple) else (values,))):
                raise ModelError(f"{path}: {name} holds what is not a finite number")
        if 0 in self.std:
            raise ModelError(f"{path}: std must not be 0")
        for name in ("focal_reference", "length_scale", "sigma_scale"):
            if getattr(self, name) <= 0:
                raise ModelError(f"{path}: {name} must be positive")
        if not LEAST_ACROSS_RATIO <= self.across_ratio <= 1:
            raise ModelError(f"{path}: across_ratio must lie between {LEAST_ACROSS_RATIO:g} and 1")

    def _check_any_size(self, path: Path) -> None:
        if type(self.any_size) is not bool:
            raise ModelError(f"{path}: any_size must be true or false")
        if self.any_size and self.interface == SIGNED_FLOW:
            raise ModelError(f"{path}: any_size is of our own networks")

    def _check_smaller_view(self, path: Path, view: tuple[int, ...]) -> None:
        """Refuse what is no size of whole cells below that of the input."""
        whole = len(view) == 2 and all(type(side) is int and side >= 1 for side in view)
        if not (whole and view[0] < self.width and view[1] < self.height):
            raise ModelError(
                f"{path}: smaller_view must be a width and a height in whole pixels, below "
                f"{self.width}x{self.height}"
            )
        if self.interface == SIGNED_FLOW or any(side % self.stride for side in view):
            raise ModelError(f"{path}: smaller_view is of our own networks, in whole cells")


CALIBRATION = (
    "length_scale", "length_exponent", "depth_slope", "sigma_scale", "across_ratio", "flow_sigma",
    "log_depth_sigma",
)  # fmt: skip
"""What a card says of how the outputs are to be read, whatever the weights are."""

_NUMBERS = ("mean", "std", "focal_reference", *CALIBRATION)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file; ModelError if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: the model cannot be read: {error.strerror}") from error
