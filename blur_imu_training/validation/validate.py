"""How well a model reads held-out blur: lengths, velocities, and whether it knows its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.blur_field import BlurField, below_axis, cell_centres
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_ros.core.network_view import NetworkView
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.network.blur_network import Backend
from blur_imu_ros.network.model_card import (
    INTERFACE,
    LEAST_ACROSS_RATIO,
    REFERENCE_LENGTH,
    ModelCard,
)
from blur_imu_training.data.held_out import HeldOutFrame

PIXELS_ACROSS = 320
"""Blur is given in pixels of a view so wide, so that the same blur is the same for every
model."""

LENGTH_BINS = (0.0, 2.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 80.0)
"""Of these pixels."""

FEWEST_CELLS = 20

LEAST_INVERSE_DEPTH = 0.05
"""1/m; what is farther away is as good as infinitely far."""


@dataclass(frozen=True)
class HeldOutErrors:
    """What was found in n frames of m cells each, the better of both signs, beside the ground
    truth.

    Attributes:
        length, true_length: (n, m) of the blur, pixels of a view `PIXELS_ACROSS` wide.
        truth, error: (n, 6) angular (rad/s), then linear velocity (m/s), and the error of both.
        covariance: (n, 6, 6).
        valid: (n,) whether the frame was held to be usable.
        depth_error: (n, m) of the logarithm of inverse depth, true minus predicted.
        along, across: (n, m) error of the motion along the true one and across it, pixels of the
            network's view.
        below: (n, m) tangent by which cells lie below the optical axis.
        own_pixels: pixels of the network's view in one of these.
    """

    length: Array
    true_length: Array
    truth: Array
    error: Array
    covariance: Array
    valid: Array
    depth_error: Array
    below: Array
    along: Array
    across: Array
    own_pixels: float

    @property
    def blur(self) -> Array:
        """(n,) median length of each frame's true blur, pixels of a view `PIXELS_ACROSS` wide."""
        return np.asarray(np.median(self.true_length, axis=1))

    def of_frames(self, chosen: Array) -> HeldOutErrors:
        """Return the errors of the frames (n,) that are chosen; RecordingError if none is."""
        if not chosen.any():
            raise RecordingError("no held-out frame has blur that is asked for")
        rows = {
            one.name: getattr(self, one.name)[chosen]
            for one in fields(self)
            if one.name != "own_pixels"
        }
        return replace(self, **rows)


@dataclass(frozen=True)
class BinOfBlur:
    """Errors of the frames, or of the cells, whose true blur is within `low` to `high` pixels.

    Attributes:
        cells: how many cells; `length` is the median of their predicted blur, pixels, and
            `length_ratio` that of predicted over true length.
        frames: how many frames; the other figures are of these, NaN where there is none.
        rotation_error: median of |omega - true| / |true|.
        translation_angle: median angle between linear velocity and its ground truth, degrees.
        translation_scale: median of |v| / |true|.
    """

    low: float
    high: float
    cells: int
    length: float
    length_ratio: float
    frames: int
    rotation_error: float
    translation_angle: float
    translation_scale: float


@dataclass(frozen=True)
class ValidationReport:
    """Errors on held-out frames.

    Attributes:
        bins: by the length of the blur.
        rotation_error, translation_angle: over all frames, as in `BinOfBlur`.
        translation_slope: median of the part of linear velocity along its ground truth, over the
            ground truth's.
        nees: (2,) mean normalised squared error of omega and of v over degrees of freedom; 1 is
            consistent.
        coverage: (2, 6) share of errors within 1 and 2 standard deviations (0.68 and 0.95 are
            consistent).
        frames, valid: how many, and how many of them were held to be usable.
        depth_slope: how fast the logarithm of inverse depth grows downwards in the ground truth
            beyond what is predicted, per unit of the tangent to the optical axis.
        own_pixels: pixels of the network's view in one of the bins'.
    """

    bins: tuple[BinOfBlur, ...]
    rotation_error: float
    translation_angle: float
    translation_slope: float
    nees: Array
    coverage: Array
    frames: int
    valid: int
    depth_slope: float
    own_pixels: float


class Remembered:
    """A backend that runs the model once for each image, however often the card is changed."""

    def __init__(self, backend: Backend) -> None:
        """Remember what `backend` gives."""
        self._backend, self.runs_on = backend, backend.runs_on
        self._outputs: dict[bytes, tuple[Array, ...]] = {}

    def run(self, image: NDArray[np.float32]) -> tuple[Array, ...]:
        """See `blur_network.Backend`."""
        key = sha256(image.tobytes()).digest()
        if key not in self._outputs:
            self._outputs[key] = self._backend.run(image)
        return self._outputs[key]


def measure(imu: VisualImu, frames: Iterable[HeldOutFrame]) -> HeldOutErrors:
    """Measure every frame on its own; RecordingError if there is none."""
    rows = [_row(imu.measure(held_out.frame), held_out) for held_out in frames]
    if not rows:
        raise RecordingError("validation on no frames; ask for at least one")
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    length, true_length, truth, error, covariance, valid, depth_error, below, along, across = (
        columns
    )
    own_pixels = imu.network.input_size[0] / PIXELS_ACROSS
    return HeldOutErrors(
        length / own_pixels,
        true_length / own_pixels,
        truth,
        error,
        covariance,
        valid,
        depth_error,
        below,
        along,
        across,
        own_pixels,
    )


def _row(measurement: Measurement, held_out: HeldOutFrame) -> tuple[Array, ...]:
    assert measurement.field is not None
    field, estimate = measurement.field, measurement.estimate
    truth = np.concatenate([held_out.angular_velocity, held_out.linear_velocity])
    sign = np.copysign(1.0, estimate.angular_velocity @ held_out.angular_velocity)
    true_motion, true_inverse = _truth_of_cells(held_out, field)
    true_length = np.hypot(true_motion[..., 0], true_motion[..., 1])
    known = np.maximum(true_inverse, LEAST_INVERSE_DEPTH)
    rows, columns = true_inverse.shape
    return (
        field.blur_length.ravel(),
        true_length.ravel(),
        truth,
        sign * estimate.velocity - truth,
        estimate.covariance,
        np.asarray(estimate.valid),
        (np.log(known) - np.log(field.inverse_depth)).ravel(),
        below_axis(field.camera, rows, columns, field.stride).ravel(),
        *_motion_errors(field.motion, true_motion),
    )


def _motion_errors(motion: Array, true: Array) -> tuple[Array, Array]:
    """Return (m,) errors of a field (rows, columns, 2) along the true one and across it, signs as
    in it."""
    unit = true / np.maximum(np.hypot(true[..., :1], true[..., 1:]), 1e-9)
    signs = np.copysign(1.0, np.sum(motion * unit, axis=-1, keepdims=True))
    error = signs * motion - true
    across = error[..., 1] * unit[..., 0] - error[..., 0] * unit[..., 1]
    return np.sum(error * unit, axis=-1).ravel(), across.ravel()


def report(errors: HeldOutErrors) -> ValidationReport:
    """Return the figures of measured frames."""
    squared = [
        np.einsum("ni,nij,nj->n", e, np.linalg.inv(c), e) / 3
        for e, c in (
            (errors.error[:, :3], errors.covariance[:, :3, :3]),
            (errors.error[:, 3:], errors.covariance[:, 3:, 3:]),
        )
    ]
    sigmas = np.abs(errors.error) / np.sqrt(np.diagonal(errors.covariance, axis1=1, axis2=2))
    bins = zip(LENGTH_BINS[:-1], LENGTH_BINS[1:], strict=True)
    return ValidationReport(
        tuple(_bin(errors, low, high) for low, high in bins),
        _median(rotation_errors(errors)),
        _median(_translation_angle(errors)),
        _translation_slope(errors),
        np.array([s.mean() for s in squared]),
        np.stack([np.mean(sigmas < k, axis=0) for k in (1, 2)]),
        len(errors.truth),
        int(errors.valid.sum()),
        _depth_slope(errors),
        errors.own_pixels,
    )


CALIBRATED = (10.0, 60.0)
"""The bins by which the scale of lengths is found: to shorter blur, the softness and the motion
blur that the held-out pictures had before they were blurred add too much.
"""
BENT = (2.0, 60.0)
"""The same where an exponent is fitted, too: it needs the range."""


SHORTEST_TURN = 0.3
"""A network that reads turns at less of their length than this reads none yet."""


def calibrated(
    card: ModelCard, measured: Callable[[ModelCard], HeldOutErrors], power_law: bool = False
) -> ModelCard:
    """Return a card with corrections of lengths, depth and directions from held-out frames.

    Lengths are set right cell by cell, then as a whole so that turns come out at their length.

    Args:
        card: of a model; its own corrections are left behind.
        measured: measures the frames by a card.
        power_law: as of `length_correction`.
    """
    card = replace(card, length_scale=1.0, length_exponent=0.0, depth_slope=0.0, across_ratio=1.0)
    raw = report(measured(card))
    scale, exponent = length_correction(raw, power_law)
    card = replace(
        card,
        length_scale=round(scale, 4),
        length_exponent=round(exponent, 4),
        depth_slope=round(raw.depth_slope, 3),
    )
    if card.interface == INTERFACE:
        card = replace(card, across_ratio=round(across_ratio(measured(card)), 3))
    turn = turn_ratio(measured(card))
    if not turn > SHORTEST_TURN:
        return card
    return replace(card, length_scale=round(card.length_scale / turn, 4))


def length_correction(result: ValidationReport, power_law: bool = False) -> tuple[float, float]:
    """Return `length_scale` and `length_exponent` of a card for which the bins' ratios are near 1.

    Args:
        result: measured with neither, a scale of 1 and an exponent of 0.
        power_law: fit the exponent, too; else it is 0.
    """
    low, high = BENT if power_law else CALIBRATED
    bins = [
        one
        for one in result.bins
        if one.low >= low and one.high <= high and one.cells >= FEWEST_CELLS
    ]
    if not bins:
        raise RecordingError(
            f"no held-out blur of {low:g} to {high:g} px to calibrate lengths by; use more frames"
        )
    ratio = np.log([one.length_ratio for one in bins])
    found = np.log([one.length * result.own_pixels / REFERENCE_LENGTH for one in bins])
    # A line through fewer bins, or through bins that are read alike, would be their noise.
    degree = 1 if power_law and len(bins) >= 4 and np.ptp(found) > 1 else 0
    line = np.polynomial.Polynomial.fit(found, -ratio, degree, domain=[-1, 1])
    return float(np.exp(line.coef[0])), float(line.coef[1]) if degree else 0.0


def turn_ratio(errors: HeldOutErrors) -> float:
    """Return the angular velocity along its truth, over the truth: the median over frames whose
    blur is in the bins by which lengths are calibrated; NaN without such frames.

    A robust fit to errors leans towards zero: with lengths right at the median, turns come out
    short.
    """
    low, high = CALIBRATED
    seen = (errors.blur >= low) & (errors.blur < high)
    return _median(_along_truth(errors, slice(0, 3))[seen])


def across_ratio(errors: HeldOutErrors) -> float:
    """Return how far motions err across the blur, over how far they err along it.

    The median over the bins by which lengths are bent; what a bin is wrong by as a whole is no
    doubt.
    """
    ratios = []
    for low, high in zip(LENGTH_BINS[:-1], LENGTH_BINS[1:], strict=True):
        cells = (errors.true_length >= low) & (errors.true_length < high)
        if low >= BENT[0] and cells.sum() >= FEWEST_CELLS:
            ratios.append(_spread(errors.across[cells]) / _spread(errors.along[cells]))
    if not ratios:
        raise RecordingError("no held-out blur to compare directions by; use more frames")
    return float(np.clip(np.median(ratios), LEAST_ACROSS_RATIO, 1))


def _spread(values: Array) -> float:
    """Return a robust standard deviation, in units that cancel: the median distance from the
    median."""
    return max(float(np.median(np.abs(values - np.median(values)))), 1e-6)


def as_metrics(result: ValidationReport) -> dict[str, Any]:
    """Return the figures as a model card holds them."""
    return {
        "frames": result.frames,
        "length_ratio": {
            f"{b.low:g}-{b.high:g} px": round(b.length_ratio, 3)
            for b in result.bins
            if b.cells >= FEWEST_CELLS
        },
        "rotation_error_median": round(result.rotation_error, 4),
        "translation_angle_median_deg": round(result.translation_angle, 1),
        "depth_slope": round(result.depth_slope, 3),
        "nees_w": round(float(result.nees[0]), 3),
        "nees_v": round(float(result.nees[1]), 3),
    }


def _bin(errors: HeldOutErrors, low: float, high: float) -> BinOfBlur:
    cells = (errors.true_length >= low) & (errors.true_length < high)
    frames = (errors.blur >= low) & (errors.blur < high)
    enough = cells.sum() >= FEWEST_CELLS
    read = errors.length[cells] if enough else np.zeros(0)
    ratio = read / errors.true_length[cells] if enough else read
    return BinOfBlur(
        low,
        high,
        int(cells.sum()),
        _median(read),
        _median(ratio),
        int(frames.sum()),
        _median(rotation_errors(errors)[frames]),
        _median(_translation_angle(errors)[frames]),
        _median(_translation_scale(errors)[frames]),
    )


def _depth_slope(errors: HeldOutErrors) -> float:
    """Fit a line over `below` to the errors of depth, each frame free in its own scale."""
    error, below = (
        values - values.mean(axis=1, keepdims=True) for values in (errors.depth_error, errors.below)
    )
    return float(np.sum(error * below) / np.sum(below**2))


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def rotation_errors(errors: HeldOutErrors) -> Array:
    """Return (n,) |omega - true| / |true| of each frame."""
    return np.asarray(_norm(errors.error[:, :3]) / _norm(errors.truth[:, :3]))


def _translation_angle(errors: HeldOutErrors) -> Array:
    v, true = errors.truth[:, 3:] + errors.error[:, 3:], errors.truth[:, 3:]
    cosine = np.sum(v * true, axis=1) / np.maximum(_norm(v) * _norm(true), 1e-12)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _translation_scale(errors: HeldOutErrors) -> Array:
    v, true = errors.truth[:, 3:] + errors.error[:, 3:], errors.truth[:, 3:]
    return np.asarray(_norm(v) / np.maximum(_norm(true), 1e-12))


def _translation_slope(errors: HeldOutErrors) -> float:
    return _median(_along_truth(errors, slice(3, 6)))


def _along_truth(errors: HeldOutErrors, part: slice) -> Array:
    """(n,) part of a velocity along its ground truth, over the ground truth."""
    true = errors.truth[:, part]
    along = np.sum((true + errors.error[:, part]) * true, axis=1)
    return np.asarray(along / np.maximum(np.sum(true**2, axis=1), 1e-12))


def _norm(vectors: Array) -> Array:
    return np.asarray(np.linalg.norm(vectors, axis=1))


def _truth_of_cells(held_out: HeldOutFrame, field: BlurField) -> tuple[Array, Array]:
    """True motion (rows, columns, 2), pixels of the network's view, and inverse depth (rows,
    columns), 1/m."""
    rows, columns = field.q.shape[:2]
    source = held_out.frame.camera
    view = NetworkView(source, columns * field.stride, rows * field.stride).camera
    u, v = cell_centres(rows, columns, field.stride)
    x, y = ((c - o) * source.fx / view.fx for c, o in ((u, view.cx), (v, view.cy)))
    places = (x + source.cx).astype(np.float32), (y + source.cy).astype(np.float32)
    inverse = cv2.remap(held_out.inverse_depth, *places, cv2.INTER_LINEAR)
    tau = held_out.frame.exposure_time
    motion = motion_field(
        view, u, v, inverse, held_out.angular_velocity * tau, held_out.linear_velocity * tau
    )
    return motion, inverse


def table(result: ValidationReport) -> Table:
    """Return the figures by length of the blur, for a person."""
    shown = Table(title=f"{result.frames} held-out frames, {result.valid} valid")
    for heading in (
        f"blur [px of {PIXELS_ACROSS}]", "length ratio", "frames", "rotation error",
        "translation angle [deg]", "translation scale",
    ):  # fmt: skip
        shown.add_column(heading, justify="right")
    for one in result.bins:
        shown.add_row(
            f"{one.low:g}-{one.high:g}", f"{one.length_ratio:.2f}", f"{one.frames}",
            f"{one.rotation_error:.0%}", f"{one.translation_angle:.0f}",
            f"{one.translation_scale:.2f}",
        )  # fmt: skip
    return shown


def summary(result: ValidationReport) -> str:
    """Return what is not in the table, in five lines."""
    cover = "; ".join(
        f"within {k} sigma " + " ".join(f"{x:.2f}" for x in row)
        for k, row in zip((1, 2), result.coverage, strict=True)
    )
    return (
        f"medians: rotation error {result.rotation_error:.1%}, "
        f"translation direction {result.translation_angle:.0f} deg\n"
        f"linear velocity along its ground truth, over it: {result.translation_slope:.2f}\n"
        f"normalised squared error {result.nees[0]:.2f} (w), {result.nees[1]:.2f} (v); 1 is "
        "consistent\n"
        f"{cover}\n"
        f"log inverse depth, per unit of tangent downwards: {result.depth_slope:+.2f} beyond what "
        "is read"
    )
