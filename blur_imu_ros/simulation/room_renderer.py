"""A procedural furnished room, seen by a camera that moves while its shutter is open.

Every surface is a flat textured quad, so each sub-frame is exact: one homography a quad, drawn from
far to near in linear light. The body moves by exact rigid motion (no small-angle formula), which
makes this renderer an independent check of all signs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Array, Float32
from blur_imu_ros.core.camera import Camera

NEAR = 0.05
"""Metres. What is nearer to the camera is not drawn."""

TEXELS_PER_METRE = 160
WALLS, ON_WALLS, FURNITURE = 0, 1, 2
"""Layers of the room."""

LAMP = 12.0
"""Radiance of lamps; the sensor clips at 1, so they streak."""


@dataclass(frozen=True)
class Quad:
    """A textured parallelogram.

    Attributes:
        corner: (3,) of its first texel, metres in the world (x right, y down, z forward).
        across, down: (3,) its sides, metres.
        texture: (rows, columns, 3) BGR radiance in linear light.
        layer: quads of a higher layer are drawn over those of a lower one.
    """

    corner: Array
    across: Array
    down: Array
    texture: Float32
    layer: int = 0

    @cached_property
    def corners(self) -> Array:
        """(4, 3) corners in order."""
        a, b = self.across, self.down
        return np.asarray(self.corner + np.array([np.zeros(3), a, a + b, b]))

    @cached_property
    def texel_to_world(self) -> Array:
        """(3, 3) that takes (column, row, 1) of the texture to the world."""
        rows, columns = self.texture.shape[:2]
        return np.stack([self.across / columns, self.down / rows, self.corner], axis=1)


@dataclass(frozen=True)
class Pose:
    """Where the camera is: its orientation (camera to world) and place (3,), metres."""

    rotation: Rotation
    position: Array


@dataclass(frozen=True)
class Trajectory:
    """A motion of the camera body, known in closed form.

    Attributes:
        pose: pose at a time in seconds.
        velocity: (6,) angular (rad/s), then linear velocity (m/s) of the body in its own axes.
    """

    pose: Callable[[float], Pose]
    velocity: Callable[[float], Array]


def constant_velocity(
    angular: Array, linear: Array, start: Pose | None = None, t0: float = 0.0
) -> Trajectory:
    """Return a motion with constant velocities in the body's axes that is at `start` at `t0`."""
    angular, linear = np.asarray(angular, float), np.asarray(linear, float)
    begin = start or Pose(Rotation.identity(), np.zeros(3))

    def pose(t: float) -> Pose:
        turn = Rotation.from_rotvec(angular * (t - t0))
        # The path of a body with a constant twist is a screw: the integral of its turning velocity.
        path = _integral_of_turning(angular, t - t0) @ linear
        return Pose(begin.rotation * turn, begin.position + begin.rotation.apply(path))

    return Trajectory(pose, lambda t: np.concatenate([angular, linear]))


def _integral_of_turning(angular: Array, t: float) -> Array:
    """Return the integral of exp(omega s) over s from 0 to t, (3, 3)."""
    rate = float(np.linalg.norm(angular))
    if rate * abs(t) < 1e-9:
        return np.eye(3) * t
    x, y, z = angular / rate
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = rate * t
    first, second = (1 - np.cos(angle)) / rate, (angle - np.sin(angle)) / rate
    return np.asarray(np.eye(3) * t + first * k + second * k @ k)


def hand_held(
    seed: int = 0,
    turn: float = 0.55,
    sway: float = 0.1,
    lever_arm: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Trajectory:
    """Return a smooth shake about a place in the room: sums of sines in all six directions.

    Args:
        seed: of phases and frequencies.
        turn: amplitude of the angles, rad.
        sway: amplitude of the place of the pivot, metres.
        lever_arm: from the pivot (a wrist) to the camera, in the camera's axes, metres.
    """
    arm = np.array(lever_arm)
    rng = np.random.default_rng(seed)
    rate = 2 * np.pi * rng.uniform(0.8, 1.8, 6)
    phase = rng.uniform(0, 2 * np.pi, 6)
    sizes = np.array([0.6, 1.0, 0.6, 0, 0, 0]) * turn + np.array([0, 0, 0, 1.0, 0.7, 1.0]) * sway

    def wave(t: float) -> tuple[Array, Array]:
        return sizes * np.sin(rate * t + phase), sizes * rate * np.cos(rate * t + phase)

    def pose(t: float) -> Pose:
        value, _ = wave(t)
        rotation = Rotation.from_euler("yxz", value[[1, 0, 2]])
        return Pose(rotation, value[3:] + rotation.apply(arm))

    def velocity(t: float) -> Array:
        value, slope = wave(t)
        turned = Rotation.from_euler("yxz", value[[1, 0, 2]])
        angular = _body_rates(value[:3], slope[:3])
        linear = turned.inv().apply(slope[3:]) + np.cross(angular, arm)
        return np.concatenate([angular, linear])

    return Trajectory(pose, velocity)


def _body_rates(angles: Array, rates: Array) -> Array:
    """Return the body's angular velocity for extrinsic y, x, z angles (given as x, y, z).

    R = Rz Rx Ry, so omega = y' e_y + Ry^T (x' e_x + Rx^T z' e_z) in the body's axes.
    """
    about_x = Rotation.from_rotvec([angles[0], 0, 0])
    about_y = Rotation.from_rotvec([0, angles[1], 0])
    inner = np.array([rates[0], 0, 0]) + about_x.inv().apply([0, 0, rates[2]])
    return np.asarray(np.array([0, rates[1], 0]) + about_y.inv().apply(inner))


class Scene:
    """Quads to look at."""

    def __init__(self, quads: list[Quad]) -> None:
        """Take the quads; in a layer far ones are drawn first, so they must not cut each other."""
        self._quads = quads

    def stretched(self, factors: Array) -> Scene:
        """Return the scene `factors` (3,) times as large along each axis; textures stretch too."""
        return Scene([
            replace(q, corner=q.corner * factors, across=q.across * factors, down=q.down * factors)
            for q in self._quads
        ])  # fmt: skip

    def radiance(self, camera: Camera, pose: Pose) -> Float32:
        """Return (height, width, 3) linear light that an undistorted camera at rest sees."""
        return self._drawn(camera, pose)[0]

    def inverse_depth(self, camera: Camera, pose: Pose) -> Float32:
        """Return (height, width) 1/m; 0 where nothing is."""
        return self._drawn(camera, pose, textures=False)[1]

    def _drawn(self, camera: Camera, pose: Pose, textures: bool = True) -> tuple[Float32, Float32]:
        image = np.zeros((camera.height, camera.width, 3), np.float32)
        inverse = np.zeros((camera.height, camera.width), np.float32)

        def depth_order(quad: Quad) -> tuple[int, float]:
            away = np.linalg.norm(quad.corners.mean(axis=0) - pose.position)
            return quad.layer, -float(away)

        for quad in sorted(self._quads, key=depth_order):
            _draw(quad, camera, pose, image, None if textures else inverse)
        return image, inverse


def _draw(quad: Quad, camera: Camera, pose: Pose, image: Float32, inverse: Float32 | None) -> None:
    corners = pose.rotation.inv().apply(quad.corners - pose.position)
    outline = _clipped(corners)
    if len(outline) < 3:
        return
    pixels = outline[:, :2] / outline[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    left, top = np.maximum(np.floor(pixels.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(
        np.ceil(pixels.max(axis=0)) + 1, (camera.width, camera.height)
    ).astype(int)
    if left >= right or top >= bottom:
        return
    mask = np.zeros((bottom - top, right - left), np.uint8)
    shown = np.clip(pixels - (left, top), -30000, 30000)
    cv2.fillConvexPoly(mask, np.round(shown * 16).astype(np.int32), 255, cv2.LINE_8, 4)
    to_camera = pose.rotation.inv().as_matrix()
    plane = to_camera @ (quad.texel_to_world - np.outer(pose.position, [0, 0, 1]))
    if inverse is not None:
        _fill_inverse_depth(inverse[top:bottom, left:right], mask, corners, camera, left, top)
        return
    window = camera.cropped(left, top, right - left, bottom - top).matrix
    # Texel centres are at half-integers of the plane's coordinates.
    texels = window @ plane @ np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    size = (right - left, bottom - top)
    drawn = cv2.warpPerspective(
        quad.texture, texels, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    cv2.copyTo(drawn, mask, image[top:bottom, left:right])


def _fill_inverse_depth(
    part: Float32, mask: NDArray[np.uint8], corners: Array, camera: Camera, left: int, top: int
) -> None:
    """Fill 1/Z = n . ray / (n . point) of the quad's plane where the mask is set."""
    normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
    u, v = np.meshgrid(np.arange(part.shape[1]) + left, np.arange(part.shape[0]) + top)
    x, y = camera.normalised(u, v)
    distance = float(normal @ corners[0])
    if distance:
        values = (normal[0] * x + normal[1] * y + normal[2]) / distance
        part[mask > 0] = values[mask > 0]


def _clipped(corners: Array) -> Array:
    """Return the part of a polygon (n, 3) in front of the near plane."""
    kept = []
    for here, there in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if here[2] >= NEAR:
            kept.append(here)
        if (here[2] >= NEAR) != (there[2] >= NEAR):
            share = (NEAR - here[2]) / (there[2] - here[2])
            kept.append(here + share * (there - here))
    return np.array(kept).reshape(-1, 3)


def mean_radiance(
    scene: Scene,
    camera: Camera,
    trajectory: Trajectory,
    t: float,
    exposure_time: float,
    step: float = 1.0,
) -> Float32:
    """Return the mean linear light over an exposure.

    Args:
        scene: what is seen.
        camera: undistorted pinhole.
        trajectory: of the camera.
        t: middle of the exposure, seconds.
        exposure_time: seconds.
        step: motion between sub-frames, pixels, at most.
    """
    velocity = trajectory.velocity(t) * exposure_time
    reach = camera.focal * (np.linalg.norm(velocity[:3]) * 1.3 + np.linalg.norm(velocity[3:]))
    count = int(np.clip(np.ceil(reach / step), 1, 120))
    total = np.zeros((camera.height, camera.width, 3), np.float32)
    for s in (np.arange(count) + 0.5) / count - 0.5:
        total += scene.radiance(camera, trajectory.pose(t + float(s) * exposure_time))
    return total / np.float32(count)


def blurred_image(
    scene: Scene,
    camera: Camera,
    trajectory: Trajectory,
    t: float,
    exposure_time: float,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """Return the BGR uint8 image that a camera takes: `mean_radiance`, noise, clipping, sRGB."""
    light = np.minimum(mean_radiance(scene, camera, trajectory, t, exposure_time), 1)
    noise = np.random.default_rng(seed).standard_normal(light.shape, dtype=np.float32)
    light = np.clip(light + noise * np.sqrt(2e-5 + 4e-4 * light), 0, 1)
    curve = np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(curve * 255 + 0.5, np.uint8)


# --- the room ---------------------------------------------------------------------------------


def furnished_room(seed: int = 0) -> Scene:
    """Return a room of 6 x 2.8 x 7 m around the origin with pictures, lamps and furniture."""
    rng = np.random.default_rng(seed)
    low, high = np.array([-3.0, -1.5, -3.0]), np.array([3.0, 1.3, 4.0])
    quads = _walls(low, high, rng)
    quads += _pictures(low, high, rng)
    quads += _lamps(low, high)
    for place, size in (
        ((0.9, 0.75, 2.0), (1.3, 0.06, 0.8)),
        ((-1.9, 0.45, 2.4), (0.9, 0.85, 0.9)),
        ((-0.5, 0.8, 3.2), (0.6, 0.5, 0.5)),
        ((2.4, 0.2, 3.2), (0.8, 1.1, 0.6)),
        ((-2.4, 0.3, -1.5), (0.8, 1.0, 0.8)),
        ((1.5, 0.5, -1.8), (1.2, 0.8, 0.7)),
    ):
        quads += _box(np.array(place), np.array(size), rng)
    return Scene(quads)


def _quad(
    corner: Array,
    across: Array,
    down: Array,
    painter: Callable[[int, int], Float32],
    layer: int = WALLS,
) -> Quad:
    """Return a quad painted with texels of about the same size everywhere."""
    columns = max(8, round(float(np.linalg.norm(across)) * TEXELS_PER_METRE))
    rows = max(8, round(float(np.linalg.norm(down)) * TEXELS_PER_METRE))
    return Quad(corner, across, down, painter(rows, columns), layer)


def _walls(low: Array, high: Array, rng: np.random.Generator) -> list[Quad]:
    wide, tall, deep = high - low
    x, y, z = np.array([wide, 0, 0]), np.array([0, tall, 0]), np.array([0, 0, deep])

    def brick(rows: int, columns: int) -> Float32:
        return _courses(rows, columns, 12, 36, (0.20, 0.28, 0.42), rng)

    def plank(rows: int, columns: int) -> Float32:
        return _courses(rows, columns, 20, 260, (0.10, 0.20, 0.36), rng)

    def plaster(rows: int, columns: int) -> Float32:
        return _speckled(rows, columns, (0.48, 0.52, 0.55), 0.05, rng)

    return [
        _quad(np.array([low[0], low[1], high[2]]), x, y, brick),
        _quad(np.array([high[0], low[1], low[2]]), -x, y, plaster),
        _quad(low, z, y, plaster),
        _quad(high - y, -z, y, brick),
        _quad(np.array([low[0], high[1], high[2]]), x, -z, plank),
        _quad(low, x, z, plaster),
    ]


def _pictures(low: Array, high: Array, rng: np.random.Generator) -> list[Quad]:
    """Return framed pictures a little before the walls."""
    gap = 0.02
    quads = []
    for left in (-2.4, -0.9, 0.5, 1.7):
        size = rng.uniform(0.6, 1.0, 2)
        corner = np.array([left, -1.0 + rng.uniform(0, 0.3), high[2] - gap])
        quads.append(_framed(corner, np.array([size[0], 0, 0]), np.array([0, size[1], 0]), rng))
        corner = np.array([-left, -1.0 + rng.uniform(0, 0.3), low[2] + gap])
        quads.append(_framed(corner, np.array([-size[0], 0, 0]), np.array([0, size[1], 0]), rng))
    for ahead in (-1.8, 0.2, 1.9):
        size = rng.uniform(0.7, 1.2, 2)
        corner = np.array([low[0] + gap, -1.0, ahead])
        quads.append(_framed(corner, np.array([0, 0, size[0]]), np.array([0, size[1], 0]), rng))
        corner = np.array([high[0] - gap, -1.0, ahead + size[0]])
        quads.append(_framed(corner, np.array([0, 0, -size[0]]), np.array([0, size[1], 0]), rng))
    return quads


def _framed(corner: Array, across: Array, down: Array, rng: np.random.Generator) -> Quad:
    def painter(rows: int, columns: int) -> Float32:
        picture = _shapes(rows, columns, 70, rng)
        edge = max(3, rows // 24)
        frame = np.full((rows, columns, 3), rng.uniform(0.02, 0.2), np.float32)
        frame[edge:-edge, edge:-edge] = picture[edge:-edge, edge:-edge]
        return frame

    return _quad(corner, across, down, painter, ON_WALLS)


def _lamps(low: Array, high: Array) -> list[Quad]:
    def painter(rows: int, columns: int) -> Float32:
        return np.full((rows, columns, 3), LAMP, np.float32)

    places = [(x, z) for x in (-1.8, 0.0, 1.8) for z in (-1.5, 0.7, 2.6)]
    across, down = np.array([0.35, 0, 0]), np.array([0, 0, 0.12])
    return [
        _quad(np.array([x, low[1] + 0.02, z]), across, down, painter, ON_WALLS) for x, z in places
    ]


def _box(centre: Array, size: Array, rng: np.random.Generator) -> list[Quad]:
    """Return the six outer faces of a box; those turned away lie behind the others."""
    x, y, z = np.diag(size)
    low = centre - size / 2
    colour = rng.uniform(0.05, 0.5, 3)

    def painter(rows: int, columns: int) -> Float32:
        base = _speckled(rows, columns, tuple(colour * rng.uniform(0.5, 1.0)), 0.25, rng)
        shapes = _shapes(rows, columns, 12, rng)
        return np.asarray(0.6 * base + 0.4 * shapes, np.float32)

    faces = [
        (low, x, y),
        (low + z, x, y),
        (low, z, y),
        (low + x, z, y),
        (low, x, z),
        (low + y, x, z),
    ]
    return [_quad(corner, a, b, painter, FURNITURE) for corner, a, b in faces]


def _speckled(
    rows: int, columns: int, colour: tuple[float, ...], depth: float, rng: np.random.Generator
) -> Float32:
    """Return a colour with stains of every size."""
    noise = np.zeros((rows, columns), np.float32)
    for cell in (2, 6, 20, 80):
        coarse = rng.standard_normal((rows // cell + 2, columns // cell + 2)).astype(np.float32)
        noise += cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)
    texture = np.array(colour, np.float32) * np.exp(depth * noise)[..., None]
    return np.asarray(np.clip(texture, 0.005, 0.95), np.float32)


def _courses(
    rows: int, columns: int, high: int, wide: int, colour: tuple[float, ...],
    rng: np.random.Generator,
) -> Float32:  # fmt: skip
    """Return bricks or planks of `high` x `wide` texels, every other course shifted."""
    texture = _speckled(rows, columns, colour, 0.08, rng)
    for course, top in enumerate(range(0, rows, high)):
        for left in range(-(course % 2) * wide // 2, columns, wide):
            part = texture[top : top + high - 1, max(0, left) : max(0, left + wide - 2)]
            part *= np.float32(rng.uniform(0.6, 1.3))
        texture[top + high - 1 : top + high] *= np.float32(1.6)
        for left in range(-(course % 2) * wide // 2 + wide - 2, columns, wide):
            texture[top : top + high, max(0, left) : max(0, left + 2)] *= np.float32(1.5)
    return np.asarray(np.clip(texture, 0.005, 0.95), np.float32)


def _shapes(rows: int, columns: int, count: int, rng: np.random.Generator) -> Float32:
    """Return a picture of discs and bars, large ones first."""
    picture = np.full((rows, columns, 3), rng.uniform(0.1, 0.8, 3), np.float32)
    for size in np.geomspace(max(rows, columns) / 3, 2, count):
        centre = tuple(int(c) for c in rng.uniform((0, 0), (columns, rows)))
        colour = tuple(float(c) for c in rng.uniform(0.01, 0.9, 3))
        if rng.uniform() < 0.5:
            cv2.circle(picture, centre, int(size), colour, -1, cv2.LINE_AA)
        else:
            other = (centre[0] + int(size * rng.uniform(-2, 2)), centre[1] + int(size))
            cv2.line(picture, centre, other, colour, max(1, int(size / 4)), cv2.LINE_AA)
    return picture
