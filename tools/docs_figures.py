"""Draws the figures of the documentation from our own renderer: `python tools/docs_figures.py`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blur_imu_ros import VisualImu, load_network
from blur_imu_ros.choices import DEFAULT_MODEL
from blur_imu_ros.core.autocorrelation import AutocorrelationConfig, fused, whole_motion
from blur_imu_ros.core.autocorrelation_image import DerivedImage, Samples, grey_of
from blur_imu_ros.core.blur_field import BlurField, cell_centres
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.direction import DirectionConfig, DirectionFilter
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.motion_field import double_angle, half_angle, motion_field
from blur_imu_ros.core.motion_filter import MotionFilter
from blur_imu_ros.core.registration import Registrar, Registration, RegistrationConfig
from blur_imu_ros.core.velocity import VelocitySolver
from blur_imu_ros.simulation.room_renderer import (
    Quad,
    Scene,
    Trajectory,
    blurred_image,
    constant_velocity,
    furnished_room,
    hand_held,
    mean_radiance,
)
from blur_imu_ros.viz.plots import ESTIMATE, TRUTH

Array = NDArray[Any]
Image = NDArray[np.uint8]

CAMERA = Camera(320, 224, 250.0, 250.0, 159.5, 111.5)
STRIDE = 8
EXPOSURE_TIME, LONG_EXPOSURE = 0.015, 0.040


def main() -> None:
    """Draw all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"))
    folder = parser.parse_args().pictures
    folder.mkdir(parents=True, exist_ok=True)
    figures = (
        ("points.png", points),
        ("both_signs.png", both_signs),
        ("double_angle.png", double_angle_field),
        ("parallax.png", parallax),
        ("autocorrelation.png", autocorrelation),
        ("direction.png", direction),
        ("neighbours.png", neighbours),
        ("rattle.png", rattle),
    )
    for name, draw in figures:
        figure = draw()
        figure.savefig(folder / name, dpi=110)
        plt.close(figure)
        print(folder / name)


# --- what a motion does to points -----------------------------------------------------------------


def points() -> Figure:
    """Draw lamps in the dark, near and far, under four motions."""
    motions = (
        ("turning left: wy = -1.5 rad/s", (0, -1.5, 0, 0, 0, 0)),
        ("rolling clockwise: wz = 3 rad/s", (0, 0, 3, 0, 0, 0)),
        ("going right: vx = 2 m/s", (0, 0, 0, 2, 0, 0)),
        ("going forward: vz = 3 m/s", (0, 0, 0, 0, 0, 3)),
    )
    figure, panels = plt.subplots(2, 2, figsize=(9, 6.3), constrained_layout=True)
    lamps = [(x, y, z) for z in (1.5, 4.0) for x, y in _grid(0.55 * z, 0.36 * z)]
    scene = Scene([_lamp(np.array(place)) for place in lamps])
    for panel, (title, velocity) in zip(panels.flat, motions, strict=True):
        moving = constant_velocity(np.array(velocity[:3]), np.array(velocity[3:]))
        light = mean_radiance(scene, CAMERA, moving, 0.0, LONG_EXPOSURE)
        _show(panel, np.asarray(np.minimum(light, 1) * 255, np.uint8), title)
    figure.suptitle("Small lamps at 1.5 m (large) and 4 m (small), 40 ms exposure")
    return figure


def _grid(x: float, y: float) -> list[tuple[float, float]]:
    # The two depths use different places, so that no lamp hides another.
    shift = 0.12 * x
    return [(i * x / 2 + shift * x, j * y) for i in (-2, -1, 0, 1, 2) for j in (-1, 0, 1)]


def _lamp(place: Array, side: float = 0.016) -> Quad:
    across, down = np.array([side, 0, 0]), np.array([0, side, 0])
    light = np.full((8, 8, 3), 12.0, np.float32)
    return Quad(place - (across + down) / 2, across, down, light)


def both_signs() -> Figure:
    """Draw a room at rest, and turned either way while the shutter is open."""
    room = furnished_room()
    turns = (
        ("at rest", 0.0),
        ("left, wy = -4 rad/s", -4.0),
        ("right, wy = +4 rad/s", 4.0),
    )
    images = []
    figure, panels = plt.subplots(1, 3, figsize=(9, 2.7), constrained_layout=True)
    for panel, (title, rate) in zip(panels, turns, strict=True):
        moving = constant_velocity(np.array([0, rate, 0]), np.zeros(3))
        images.append(blurred_image(room, CAMERA, moving, 0.0, EXPOSURE_TIME))
        _show(panel, images[-1], title)
    largest = int(np.abs(images[1].astype(int) - images[2]).max())
    figure.suptitle(
        f"Turned left and right: the two differ by {largest} of 255 grey levels at most"
    )
    return figure


# --- the field ------------------------------------------------------------------------------------


def double_angle_field() -> Figure:
    """Draw the field of a roll: signed, with its sign lost, and at twice its angle."""
    u, v = cell_centres(CAMERA.height // 16, CAMERA.width // 16, 16)
    turn = np.array([0.0, 0.0, 8.0]) * EXPOSURE_TIME
    field = motion_field(CAMERA, u, v, np.full(u.shape, 0.5), turn, np.zeros(3))
    q = double_angle(field)
    drawn = (
        ("F: from where to where", field),
        ("without its sign (Fx >= 0): a seam", half_angle(q)),
        ("q, at twice the angle: no seam", q),
    )
    figure, panels = plt.subplots(1, 3, figsize=(9, 2.7), constrained_layout=True)
    for panel, (title, arrows) in zip(panels, drawn, strict=True):
        panel.quiver(
            u, v, arrows[..., 0], arrows[..., 1], color=ESTIMATE,
            angles="xy", scale_units="xy", scale=1, width=0.004,
        )  # fmt: skip
        _frame(panel, title)
    figure.suptitle("The motion field of a camera that rolls clockwise by 8 rad/s")
    return figure


def parallax() -> Figure:
    """Draw what distinguishes sideways motion from a turn: the first depends on depth."""
    at_rest = constant_velocity(np.zeros(3), np.zeros(3)).pose(0.0)
    inverse = furnished_room().inverse_depth(CAMERA, at_rest)
    u, v = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    turn, path = np.array([0, -1.0, 0]) * LONG_EXPOSURE, np.array([-2.0, 0, 0]) * LONG_EXPOSURE
    turned = motion_field(CAMERA, u, v, inverse, turn, np.zeros(3))
    moved = motion_field(CAMERA, u, v, inverse, np.zeros(3), path)
    drawn = (
        ("depth [m]", 1 / np.maximum(inverse, 1e-3), "viridis_r"),
        ("turning left, 1 rad/s: blur [px]", np.linalg.norm(turned, axis=-1), "magma"),
        ("going left, 2 m/s: blur [px]", np.linalg.norm(moved, axis=-1), "magma"),
    )
    figure, panels = plt.subplots(1, 3, figsize=(9, 2.3), constrained_layout=True)
    for panel, (title, values, colours) in zip(panels, drawn, strict=True):
        # One scale for both.
        limits = {} if colours == "viridis_r" else {"vmin": 0, "vmax": 14}
        shown = panel.imshow(values, cmap=colours, **limits)
        figure.colorbar(shown, ax=panel, shrink=0.85)
        _frame(panel, title)
    return figure


# --- the motion of the whole ----------------------------------------------------------------------

_MOTION = np.array([-2.0, 5.0, 1.0, 0.0, 0.2, 0.0])
_ARROWS, _APART = 2, 35
_ARROW = {"arrowstyle": "<->", "color": "black", "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0}


def autocorrelation() -> Figure:
    """Draw an image, its second derivative along its motion, and how both ends of supposed motions
    agree."""
    wall, moving = _papers(), constant_velocity(_MOTION[:3], _MOTION[3:])
    image = blurred_image(wall, CAMERA, moving, 0.0, EXPOSURE_TIME)
    true = _MOTION * EXPOSURE_TIME
    config = AutocorrelationConfig()
    samples = Samples.of(_true_field(wall, moving, 0.0), config.blocks)
    moved = cv2.resize(_grid_of(samples.moved(true), samples), image.shape[1::-1])
    derived = _second_derivative(image, moved)
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.2), constrained_layout=True)
    _show(panels[0], image, "a blurred image; arrows: the true motion")
    limit = float(np.percentile(np.abs(derived), 99))
    panels[1].imshow(derived, cmap="RdBu_r", vmin=-limit, vmax=limit)
    _frame(panels[1], "second derivative along the motion (red +, blue \N{MINUS SIGN})")
    for place in _clear_edges(derived, moved):
        half = moved[place[1], place[0]] / 2
        for panel in panels[:2]:
            panel.annotate("", place - half, place + half, arrowprops=_ARROW)
    _draw_correlation(panels[2], image, samples, config)
    return figure


def _draw_correlation(
    panel: Panel, image: Image, samples: Samples, config: AutocorrelationConfig
) -> None:
    """Draw the correlation over the length of the motion, and where the measurements are."""
    true = _MOTION * EXPOSURE_TIME
    ratio = config.lag_px / samples.length(true)
    small = DerivedImage(grey_of(image), None, min(1.0, ratio), samples, config)
    small.turn(samples.moved(true))
    imu = VisualImu(load_network(DEFAULT_MODEL, "onnx"), autocorrelation=None)
    single = imu.measure(Frame(image, 0.0, EXPOSURE_TIME, CAMERA))
    assert single.field is not None
    whole = whole_motion(_seen(single), single.field, single.estimate, config)
    factors = np.linspace(0.4, 1.8, 141)
    panel.axhline(0, color="0.8", linewidth=0.8)
    panel.plot(factors, small.correlations(samples.moved(true), factors), color="0.3")
    for factor, colour, style, name in (
        (1.0, TRUTH, "-", "truth"),
        (_factor(single.estimate, samples, true), "#d9a441", "-", "network"),
        (_factor(fused(single.estimate, whole), samples, true), ESTIMATE, "--", "fused"),
    ):
        panel.axvline(factor, color=colour, linestyle=style, label=f"{name}: {factor:.2f}")
    panel.set(xlabel="length of the motion / its true length", ylim=(-0.32, 0.22))
    panel.set_title("correlation of both ends", fontsize=9.5)
    panel.legend(loc="upper right", fontsize=8.5)


def _papers() -> Scene:
    """Return sheets of plain paper before a plain wall."""
    rng = np.random.default_rng(1)
    corner, wide, high = np.array([-6.0, -4, 2.5]), np.array([12.0, 0, 0]), np.array([0, 8.0, 0])
    quads = [Quad(corner, wide, high, np.full((8, 8, 3), 0.5, np.float32))]
    for k, (x, y) in enumerate(_grid(1.25, 0.72)):
        angle, size = rng.uniform(-0.6, 0.6), rng.uniform(0.22, 0.4, 2)
        across = np.array([np.cos(angle), np.sin(angle), 0]) * size[0]
        down = np.array([-np.sin(angle), np.cos(angle), 0]) * size[1]
        colour = rng.uniform(0.02, 0.9, 3).astype(np.float32)
        place = np.array([x, y, 0]) + [*rng.uniform(-0.1, 0.1, 2), 2.4 - 0.4 * (k % 3)]
        quads.append(Quad(place - (across + down) / 2, across, down, np.tile(colour, (8, 8, 1)), 1))
    return Scene(quads)


def _grid_of(moved: Array, samples: Samples) -> Array:
    """(rows, columns, 2) of (2, n) at the samples."""
    return np.ascontiguousarray(moved.reshape(2, *samples.shape).transpose(1, 2, 0))


def _second_derivative(image: Image, moved: Array) -> Array:
    """Return that of an image along the motion (height, width, 2) of each pixel."""
    soft = cv2.GaussianBlur(grey_of(image).astype(np.float32), (0, 0), 2.0)
    along = moved / np.linalg.norm(moved, axis=-1, keepdims=True)
    xx, yy, xy = (cv2.Sobel(soft, cv2.CV_32F, *n) for n in ((2, 0), (0, 2), (1, 1)))
    x, y = along[..., 0], along[..., 1]
    return np.asarray(x * x * xx + y * y * yy + 2 * x * y * xy)


def _clear_edges(derived: Array, moved: Array) -> list[Array]:
    """Return the middles (u, v) of the motions whose ends are the most opposite, apart."""
    v, u = np.indices(derived.shape).astype(np.float32)
    ends = [
        cv2.remap(derived, u + s * moved[..., 0], v + s * moved[..., 1], cv2.INTER_LINEAR)
        for s in (-0.5, 0.5)
    ]
    product = cv2.blur(-ends[0] * ends[1], (3, 15))
    product[:_APART], product[-_APART:], product[:, :_APART], product[:, -_APART:] = 0, 0, 0, 0
    found: list[Array] = []
    for index in np.argsort(product, axis=None)[::-1]:
        place = np.array([index % CAMERA.width, index // CAMERA.width])
        if all(np.linalg.norm(place - other) > 2 * _APART for other in found):
            found.append(place)
    return found[:_ARROWS]


def _factor(estimate: VelocityEstimate, samples: Samples, true: Array) -> float:
    """Return how many times as long a motion is as the true one."""
    return samples.length(estimate.velocity * EXPOSURE_TIME) / samples.length(true)


# --- which of the two -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shot:
    """A blurred frame, its true field, and the velocity solved from that with a random sign."""

    image: Image
    field: BlurField
    estimate: VelocityEstimate


def direction() -> Figure:
    """Draw how the next frame decides the sign of a frame's motion, and what the filter makes of
    it."""
    figure = plt.figure(figsize=(9, 4.8), constrained_layout=True)
    parts: Any = figure.subfigures(2, 1, height_ratios=(1, 1.1))
    above, below = parts
    trajectory = hand_held()
    shots = _shots(trajectory, 20)
    _draw_agreement(above, shots[4], shots[5], trajectory)
    t = np.array([shot.estimate.t for shot in shots])
    rates = [
        [s.estimate.angular_velocity[1] for s in shots],
        [e.angular_velocity[1] for e in _decided(shots)],
    ]
    fine = np.linspace(t[0], t[-1], 200)
    panel = below.subplots()
    panel.axhline(0, color="0.8", linewidth=0.8)
    panel.plot(fine, [trajectory.velocity(x)[1] for x in fine], color=TRUTH, label="ground truth")
    panel.plot(t, rates[0], "x", color="0.5", label="each frame alone: either sign")
    panel.plot(t, rates[1], "o", color=ESTIMATE, markersize=5, label="with the next frame's word")
    panel.set(xlabel="time [s]", ylabel="wy [rad/s]")
    panel.legend(loc="upper right", fontsize=9)
    return figure


def neighbours() -> Figure:
    """Frames of a fast camera: what registration makes of them from rest, and from what blur
    says."""
    trajectory, room = hand_held(turn=1.0), furnished_room()
    imu, registrar = VisualImu(load_network(DEFAULT_MODEL, "onnx")), Registrar()
    t = 1.0 + np.arange(30) / 30
    images = [blurred_image(room, CAMERA, trajectory, x, EXPOSURE_TIME, k) for k, x in enumerate(t)]
    frames = [Frame(image, x, EXPOSURE_TIME, CAMERA) for image, x in zip(images, t, strict=True)]
    singles = [imu.measure(frame) for frame in frames]
    views = [registrar.view(_seen(m), m.field, m.frame.t, CAMERA) for m in singles]
    still, near = np.zeros((0, 6)), Registrar(RegistrationConfig(search_above=1.0))
    rest = [near.register(one, other, still) for one, other in pairwise(views)]
    blur = [
        registrar.register(one, other, np.stack([s * m.estimate.velocity for m in pair for s in (1, -1)]))
        for (one, other), pair in zip(pairwise(views), pairwise(singles), strict=True)
    ]  # fmt: skip
    figure = plt.figure(figsize=(12, 6.4), constrained_layout=True)
    parts: Any = figure.subfigures(2, 1, height_ratios=(1, 1.15))
    true = np.array([trajectory.velocity(x) for x in (t[1:] + t[:-1]) / 2])
    wrong = np.linalg.norm(np.array([r.velocity for r in rest])[:, :3] - true[:, :3], axis=1)
    k = int(np.argmax(wrong))
    panels = parts[0].subplots(1, 4)
    _show(panels[0], images[k], "a frame")
    _show(panels[1], images[k + 1], "the next, 33 ms later")
    for panel, found, name in (
        (panels[2], rest[k], "from rest"),
        (panels[3], blur[k], "from blur"),
    ):
        left, seen = _left_over(images[k], images[k + 1], found.velocity[:3] / 30)
        title = f"registered {name}: {left[seen].mean():.0f}"
        _show(panel, (left * seen * 3).clip(0, 255).astype(np.uint8), title)
    _draw_registered(parts[1].subplots(), trajectory, t, singles, rest, blur)
    return figure


def _seen(measurement: Measurement) -> Image:
    assert measurement.view is not None
    return measurement.view


def _draw_registered(
    panel: Panel,
    trajectory: Trajectory,
    t: Array,
    singles: list[Measurement],
    rest: list[Registration],
    blur: list[Registration],
) -> None:
    """Draw wy over time of the ground truth, of single images and of registrations."""
    fine, middle = np.linspace(t[0], t[-1], 200), (t[1:] + t[:-1]) / 2
    panel.axhline(0, color="0.8", linewidth=0.8)
    panel.plot(fine, [trajectory.velocity(x)[1] for x in fine], color=TRUTH, label="ground truth")
    alone = np.array([m.estimate.angular_velocity[1] for m in singles])
    true = np.array([trajectory.velocity(x)[1] for x in t])
    alone = np.where(np.sign(alone) == np.sign(true), alone, -alone)
    panel.plot(t, alone, "+", color="#d9a441", label="one image, sign as in the ground truth")
    panel.plot(
        middle, [r.velocity[1] for r in rest], "x", color="0.5", label="registered from rest"
    )
    panel.plot(
        middle, [r.velocity[1] for r in blur], ".", color=ESTIMATE, label="registered from blur"
    )
    panel.set(xlabel="time [s]", ylabel="wy [rad/s]")
    panel.legend(loc="upper right", fontsize=9, ncols=2)


def rattle() -> Figure:
    """One filter at once behind the pairs of a robot that rattles, and of a hand."""
    figure, panels = plt.subplots(1, 2, figsize=(12, 3.6), constrained_layout=True)
    t = np.arange(0, 3, 1 / 600)
    robot = 0.5 * np.sin(2 * np.pi * 0.4 * t) + 0.06 * sum(
        np.sin(2 * np.pi * hertz * t + hertz) for hertz in (9, 13)
    )
    hand = 3 * np.sin(2 * np.pi * 1.1 * t) + 2 * np.sin(2 * np.pi * 1.9 * t + 1)
    for panel, rate, name in zip(panels, (robot, hand), ("a robot", "a hand"), strict=True):
        _draw_at_once(panel, t, rate)
        panel.set(title=name, xlabel="time [s]", ylabel="wy [rad/s]", xlim=(1, 3))
    panels[0].legend(loc="lower left", fontsize=9)
    return figure


def _draw_at_once(panel: Panel, t: Array, rate: Array) -> None:
    """Draw a rate, its pairs extrapolated by half their change, and what the filter says at
    once."""
    frames, rng, filtered = np.arange(0, len(t), 20), np.random.default_rng(0), MotionFilter()
    std, means, found = 0.04, [], []
    for a, b in pairwise(frames):
        velocity = np.concatenate([[0, rate[a:b].mean(), 0], np.zeros(3)])
        velocity[:3] += std * rng.standard_normal(3)
        covariance = np.diag([std**2 + 0.05**2] * 3 + [0.1**2] * 3)
        pair = Registration(
            t[a], t[b], velocity, covariance, 1.0, 1.0, 0.0, True, (), np.zeros((6, 6))
        )
        means.append(velocity[1])
        found.append(filtered.push(pair, None, None).now)
    at = t[frames[1:]]
    mean, sigma = (
        np.array([g.mean[1] for g in found]),
        np.sqrt([g.covariance[1, 1] for g in found]),
    )
    panel.axhline(0, color="0.8", linewidth=0.8)
    panel.plot(t, rate, color=TRUTH, label="ground truth")
    panel.plot(at[1:], 1.5 * np.array(means[1:]) - 0.5 * np.array(means[:-1]), "x", color="0.5",
               label="last two pairs, extrapolated")  # fmt: skip
    panel.fill_between(at, mean - sigma, mean + sigma, color=ESTIMATE, alpha=0.2, linewidth=0)
    panel.plot(at, mean, ".-", color=ESTIMATE, label="the filter, with its sigma")


def _shots(trajectory: Trajectory, count: int) -> list[_Shot]:
    """Return frames of a camera, 30 a second."""
    room, solver, rng = furnished_room(), VelocitySolver(), np.random.default_rng(0)
    shots = []
    for index in range(count):
        t = 1.0 + index / 30
        image = blurred_image(room, CAMERA, trajectory, t, EXPOSURE_TIME, seed=index)
        field = _true_field(room, trajectory, t)
        estimate = solver.solve(field, EXPOSURE_TIME, t)
        shots.append(_Shot(image, field, estimate.reversed() if rng.integers(2) else estimate))
    return shots


def _true_field(room: Scene, trajectory: Trajectory, t: float) -> BlurField:
    rows, columns = CAMERA.height // STRIDE, CAMERA.width // STRIDE
    inverse = cv2.resize(
        room.inverse_depth(CAMERA, trajectory.pose(t)), (columns, rows),
        interpolation=cv2.INTER_AREA,
    )  # fmt: skip
    u, v = cell_centres(rows, columns, STRIDE)
    over = trajectory.velocity(t) * EXPOSURE_TIME
    q = double_angle(motion_field(CAMERA, u, v, inverse, over[:3], over[3:]))
    still = np.ones(q.shape[:2])
    return BlurField(q, 0.5 * still, np.asarray(inverse), 0.1 * still, CAMERA, STRIDE)


def _draw_agreement(figure: Any, first: _Shot, second: _Shot, trajectory: Trajectory) -> None:
    """Draw two frames, and what is left when one is turned onto the other under either sign."""
    panels = figure.subplots(1, 4)
    _show(panels[0], first.image, "a frame")
    _show(panels[1], second.image, "the next")
    t, dt = first.estimate.t, second.estimate.t - first.estimate.t
    turn = trajectory.velocity(t + dt / 2)[:3] * dt
    for panel, sign in zip(panels[2:], (1, -1), strict=True):
        left, seen = _left_over(first.image, second.image, sign * turn)
        name = "true" if sign > 0 else "opposite"
        mean = float(left[seen].mean())
        _show(panel, (left * seen * 3).clip(0, 255).astype(np.uint8), "")
        panel.set_title(f"{name} sign: {mean:.0f}", fontsize=9.5)


def _left_over(first: Image, second: Image, turn: Array) -> tuple[Array, Array]:
    """Return |first - second turned back|, and where both were seen."""
    # What lies at P in the first frame's axes lies at R(-turn) P in the second's.
    rotation = cv2.Rodrigues(-turn)[0]
    back = CAMERA.matrix @ rotation.T @ np.linalg.inv(CAMERA.matrix)
    size = (CAMERA.width, CAMERA.height)
    grey = [cv2.cvtColor(x, cv2.COLOR_BGR2GRAY).astype(np.float32) for x in (first, second)]
    turned = cv2.warpPerspective(grey[1], back, size)
    seen = cv2.warpPerspective(np.ones_like(grey[1]), back, size) > 0.99
    return np.abs(grey[0] - turned), seen


def _decided(shots: list[_Shot]) -> list[VelocityEstimate]:
    """Return the estimates with the sign that the direction filter gives them."""
    chain = DirectionFilter(DirectionConfig(mode="adjacent"))
    decided: list[float] = []
    for shot in shots:
        decided += chain.push(chain.observe(shot.image, shot.field, shot.estimate))
    decided += chain.flush()
    return [
        shot.estimate if p >= 0.5 else shot.estimate.reversed()
        for shot, p in zip(shots, decided, strict=True)
    ]


# --- panels ---------------------------------------------------------------------------------------


def _show(panel: Panel, image: Image, title: str) -> None:
    if image.ndim == 3:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
    panel.imshow(image, cmap="gray", vmin=0, vmax=255)
    _frame(panel, title)


def _frame(panel: Panel, title: str) -> None:
    right, bottom = CAMERA.width - 0.5, CAMERA.height - 0.5
    panel.set(xlim=(-0.5, right), ylim=(bottom, -0.5), xticks=[], yticks=[], aspect="equal")
    panel.set_title(title, fontsize=9.5)


if __name__ == "__main__":
    main()
