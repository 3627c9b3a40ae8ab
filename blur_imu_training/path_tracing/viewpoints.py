"""Where in a room a camera may stand, and what is worth looking at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import TrainingError
from blur_imu_ros.simulation.room_renderer import Pose, Trajectory
from blur_imu_training.path_tracing.rays import looking

Float = NDArray[np.float32]

STEPS, AROUND = 400, 256
"""Of the walk through a room's free space, and the directions looked at from each place."""

FLATTENED = 0.25
"""Of the vertical part of steps: rooms are wider than high."""

CLEARANCE = 0.15
"""Metres to what is nearest, from all but a few directions of a free place."""

CLOSED = 0.93
"""Share of directions in which there must be something: a place outside sees the sky."""

FOCAL_LENGTHS = (0.55, 1.2)
"""Over the width of the image: 84 to 45 degrees across."""

NEAREST, NEAREST_MEDIAN = 0.25, 0.6
"""Metres of a view's 5th percentile and median depth."""

LEAST_RELIEF = 1.25
"""95th over 5th percentile of a view's depth: less is a wall seen straight on."""

LEAST_TEXTURE, BARE_SHARE = 0.012, 0.2
"""Mean step of reflectance from pixel to pixel, and the share of views that need none of it."""

TRIES = 300


class Room(Protocol):
    """What `PathTracer` says about a room."""

    start: Pose

    def distances(self, origins: Array, directions: Array) -> Array:
        """See `PathTracer`."""

    def depth(self, camera: Camera, pose: Pose) -> Float:
        """See `PathTracer`."""

    def texture(self, camera: Camera, pose: Pose, samples: int, seed: int) -> Float:
        """See `PathTracer`."""


@dataclass(frozen=True)
class View:
    """A camera at rest, and the depth (height, width) that it sees, metres, 0 where nothing is."""

    camera: Camera
    pose: Pose
    depth: Float

    @property
    def median_depth(self) -> float:
        """Metres."""
        return float(np.median(self.depth[self.depth > 0]))


def free_places(room: Room, rng: np.random.Generator) -> Array:
    """Return places (n, 3) with room around them: a random walk from the artist's camera."""
    places = [room.start.position]
    for _ in range(STEPS):
        origin = places[rng.integers(len(places))]
        step = _directions(1, rng) * (1, FLATTENED, 1)
        step /= np.linalg.norm(step)
        way = room.distances(origin[None], step)[0]
        if np.isfinite(way):
            place = origin + step[0] * way * rng.uniform(0.2, 0.8)
            if _is_free(room, place, rng):
                places.append(place)
    # The artist may stand in a wall that is seen from inside only.
    return np.array(places[1:] or places)


def _is_free(room: Room, place: Array, rng: np.random.Generator) -> bool:
    ways = room.distances(np.repeat(place[None], AROUND, axis=0), _directions(AROUND, rng))
    closed = np.isfinite(ways).mean() > CLOSED
    return bool(closed and np.percentile(ways, 3) > CLEARANCE)


def heights(room: Room, places: Array) -> Array:
    """Return from what is below to what is above places (n, 3), metres, where there is both."""
    ways = [room.distances(places, np.tile([0, y, 0], (len(places), 1))) for y in (-1.0, 1.0)]
    found = ways[0] + ways[1]
    return np.asarray(found[np.isfinite(found)])


def _directions(count: int, rng: np.random.Generator) -> Array:
    """Return unit vectors (count, 3), evenly spread."""
    vectors = rng.standard_normal((count, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def pinhole(width: int, height: int, focal: float) -> Camera:
    """Return a camera with square pixels and its principal point in the middle."""
    return Camera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def random_view(
    room: Room,
    places: Array,
    size: tuple[int, int],
    rng: np.random.Generator,
    bare_share: float = BARE_SHARE,
) -> View:
    """Return a view of the room that is worth looking at; TrainingError if none is found.

    Args:
        room: to look at.
        places: (n, 3) where cameras may stand.
        size: width and height of the image, pixels.
        rng: source of every choice.
        bare_share: of views that need no texture.
    """
    width, height = size
    may_be_bare = rng.uniform() < bare_share
    for _ in range(TRIES):
        camera = pinhole(width, height, width * rng.uniform(*FOCAL_LENGTHS))
        yaw, pitch, roll = rng.uniform(0, 2 * np.pi), rng.normal(-0.12, 0.22), rng.normal(0, 0.08)
        pose = looking(places[rng.integers(len(places))], yaw, pitch, roll)
        coarse = camera.resized(max(width // 8, 8), max(height // 8, 8))
        if not is_worth_seeing(room.depth(coarse, pose)):
            continue
        texture = room.texture(camera.resized(width // 5, height // 5), pose, 4, 0)
        if may_be_bare or np.abs(np.diff(texture, axis=1)).mean() > LEAST_TEXTURE:
            return View(camera, pose, room.depth(camera, pose))
    raise TrainingError(f"no view of the room is worth rendering among {TRIES}")


def is_worth_seeing(depth: Float) -> bool:
    """Return whether a view is closed, not too near, and more than one wall."""
    seen = depth[depth > 0]
    if seen.size < 0.9 * depth.size:
        return False
    near, median, far = np.percentile(seen, [5, 50, 95])
    return bool(near > NEAREST and median > NEAREST_MEDIAN and far > LEAST_RELIEF * near)


def free_start(
    room: Room,
    camera: Camera,
    way: Callable[[Pose], Trajectory],
    duration: float,
    rng: np.random.Generator,
) -> Trajectory:
    """Return the way from the best of some starts where the camera sees enough all along.

    Args:
        room: to move in.
        camera: that moves.
        way: from a pose of the camera at 0 s.
        duration: of the way, seconds.
        rng: source of every choice.
    """
    coarse = camera.resized(32, 24)
    places = free_places(room, rng)
    best: tuple[float, Trajectory] | None = None
    for _ in range(TRIES):
        start = looking(places[rng.integers(len(places))], rng.uniform(0, 2 * np.pi), -0.08)
        trajectory = way(start)
        relief = _least_relief(room, coarse, trajectory, duration, rng)
        if relief is not None and (best is None or relief > best[0]):
            best = (relief, trajectory)
    if best is None:
        raise TrainingError("the room has no free way so long; take fewer frames, or another seed")
    return best[1]


def _least_relief(
    room: Room, camera: Camera, trajectory: Trajectory, duration: float, rng: np.random.Generator
) -> float | None:
    """Return the least relief of the depths seen on a way, None where it is blocked."""
    least = np.inf
    for t in np.linspace(0, duration, 9):
        pose = trajectory.pose(float(t))
        depth = room.depth(camera, pose)
        if not is_worth_seeing(depth) or not _is_free(room, pose.position, rng):
            return None
        near, far = np.percentile(depth[depth > 0], [10, 90])
        least = min(least, far / near)
    return float(least)
