"""From the outputs of a model to a blur field: one reader for each interface of a model card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.blur_field import BlurField, below_axis
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import double_angle
from blur_imu_ros.errors import ModelError
from blur_imu_ros.network.model_card import (
    DIRECTED,
    INTERFACE,
    REFERENCE_LENGTH,
    SIGNED_FLOW,
    ModelCard,
)

Reader = Callable[[tuple[Array, ...], ModelCard, Camera], BlurField]


def read_blur_field(outputs: tuple[Array, ...], card: ModelCard, camera: Camera) -> BlurField:
    """Return the field of `blur_field/1`.

    Args:
        outputs: q (1, 2, r, c), log_inverse_depth (1, 1, r, c), log_sigma (1, 2, r, c).
        card: of the model.
        camera: pinhole of the view.
    """
    q, log_inverse_depth, log_sigma = (output[0].astype(np.float64) for output in outputs)
    sigma = np.exp(log_sigma)
    q = np.moveaxis(q, 0, -1)
    correction = _length_correction(q, card)
    field = BlurField(
        q=q * correction[..., None],
        sigma=sigma[0] * correction * card.sigma_scale,
        inverse_depth=np.exp(log_inverse_depth[0]) * _depth_correction(card, camera, len(q)),
        sigma_log_depth=sigma[1],
        camera=camera,
        stride=card.stride,
        sigma_scale=card.sigma_scale,
    )
    return field if card.across_ratio == 1 else _surer_across(field, card.across_ratio)


def _surer_across(field: BlurField, ratio: float) -> BlurField:
    """Return a field whose deviation is `ratio` times as large across the blur; along it, it
    stays.

    Of short blur, whose direction is a guess as well, less.
    """
    length = field.blur_length
    stretch = -np.log(ratio) * length / (length + UNSURE_LENGTH * field.camera.width / 320)
    along = field.q / np.maximum(length, 1e-9)[..., None]
    sigma = field.sigma * np.exp(-stretch / 2)
    return replace(field, sigma=sigma, anisotropy=stretch[..., None] * along)


def read_directed_field(outputs: tuple[Array, ...], card: ModelCard, camera: Camera) -> BlurField:
    """Return the field of `blur_field/2`.

    Args:
        outputs: as of `read_blur_field`, and anisotropy (1, 2, r, c).
        card: of the model.
        camera: pinhole of the view.
    """
    *others, anisotropy = outputs
    field = read_blur_field(tuple(others), replace(card, across_ratio=1.0), camera)
    return replace(field, anisotropy=np.moveaxis(anisotropy[0].astype(np.float64), 0, -1))


def read_signed_flow(outputs: tuple[Array, ...], card: ModelCard, camera: Camera) -> BlurField:
    """Return the field of `signed_flow/1`, averaged over cells.

    Args:
        outputs: flow (1, 2, height, width), depth (1, 1, height, width).
        card: of the model.
        camera: pinhole of the view.

    Raises:
        ModelError: the outputs are of another size than the card says.
    """
    flow, depth = (output[0].astype(np.float64) for output in outputs)
    if not flow.shape[1:] == depth.shape[1:] == (card.height, card.width):
        raise ModelError(
            f"model '{card.name}' gives flow {flow.shape} and depth {depth.shape}, "
            f"but its card says {card.width}x{card.height}"
        )
    motion = np.moveaxis(_cell_means(flow, card.stride), 0, -1)
    motion = motion * _length_correction(motion, card)[..., None]
    with np.errstate(divide="ignore"):  # no depth is refused by the solver, in words
        inverse_depth = _cell_means(1 / depth[0], card.stride)
    cells = inverse_depth.shape
    return BlurField(
        q=double_angle(motion),
        sigma=np.full(cells, card.flow_sigma),
        inverse_depth=inverse_depth * _depth_correction(card, camera, len(inverse_depth)),
        sigma_log_depth=np.full(cells, card.log_depth_sigma),
        camera=camera,
        stride=card.stride,
        signed_motion=motion,
        shared_errors=True,
    )


READERS: dict[str, Reader] = {
    INTERFACE: read_blur_field,
    DIRECTED: read_directed_field,
    SIGNED_FLOW: read_signed_flow,
}


UNSURE_LENGTH = 3.0
"""Pixels of a view 320 wide at which the difference between along and across is half as large."""

SHORTEST, LONGEST = 1.0, 100.0
"""Pixels between which the correction of lengths varies: beyond, nothing was measured."""

STEEPEST = 0.6
"""Tangent to the optical axis up to which the correction of depth varies, for the same reason."""


def _length_correction(field: Array, card: ModelCard) -> Array:
    """Return (rows, columns) what a field (rows, columns, 2) is to be multiplied by."""
    length = np.clip(np.hypot(field[..., 0], field[..., 1]), SHORTEST, LONGEST)
    return np.asarray(card.length_scale * (length / REFERENCE_LENGTH) ** card.length_exponent)


def _depth_correction(card: ModelCard, camera: Camera, rows: int) -> Array:
    """Return (rows, 1) what (rows, columns) of inverse depth at the card's focal length is to be
    multiplied by."""
    steep = np.clip(below_axis(camera, rows, 1, card.stride), -STEEPEST, STEEPEST)
    return np.asarray(np.exp(card.depth_slope * steep) * card.focal_reference / camera.focal)


def _cell_means(values: Array, stride: int) -> Array:
    """Return (..., rows, columns) means over cells of (..., height, width)."""
    *front, height, width = values.shape
    cells = values.reshape(*front, height // stride, stride, width // stride, stride)
    return np.asarray(cells.mean((-3, -1)))
