"""Rays of a camera that moves while its shutter is open, and what they say about depth.

Poses are camera to world, in OpenCV's camera axes (x right, y down, z forward), in a world whose y
axis points upwards. Mitsuba's own cameras look along z as well, but have x to the left and y up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.simulation.room_renderer import Pose

Float = NDArray[np.float32]

OPENCV_FROM_MITSUBA = np.diag([-1.0, -1.0, 1.0])
"""Turns camera axes half a turn about the optical axis; it is its own inverse."""

UP = np.array([0.0, 1.0, 0.0])


def pose_of_mitsuba(to_world: Array) -> Pose:
    """Return the pose of a camera of Mitsuba's, from its (4, 4) matrix; scale and mirroring are
    dropped."""
    forward = to_world[:3, 2] / np.linalg.norm(to_world[:3, 2])
    return Pose(Rotation.from_matrix(_axes(forward, to_world[:3, 1])), to_world[:3, 3])


def looking(position: Array, yaw: float, pitch: float, roll: float = 0.0) -> Pose:
    """Return the pose of a camera at `position` (3,).

    Args:
        position: metres.
        yaw: of the optical axis, from world x towards world z, rad.
        pitch: upwards, rad.
        roll: clockwise as seen from behind the camera, rad.
    """
    level = np.cos(pitch)
    forward = np.array([np.cos(yaw) * level, np.sin(pitch), np.sin(yaw) * level])
    upright = Rotation.from_matrix(_axes(forward, UP))
    return Pose(upright * Rotation.from_rotvec([0, 0, roll]), np.asarray(position, float))


def _axes(forward: Array, up: Array) -> Array:
    """Return the (3, 3) matrix with the directions of x (right), y (down) and z in its columns."""
    right = np.cross(forward, up)
    right = right / np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def directions(camera: Camera, u: Array, v: Array) -> Array:
    """Return the rays (..., 3) of pixels in camera axes; their z is 1."""
    x, y = camera.normalised(u, v)
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def pixel_rays(camera: Camera, pose: Pose) -> tuple[Array, Array, Array]:
    """Return origins and unit directions (n, 3) of all pixel centres, and how long z = 1 is on each
    (n,)."""
    v, u = np.mgrid[: camera.height, : camera.width]
    rays = directions(camera, u.ravel(), v.ravel())
    lengths = np.linalg.norm(rays, axis=1)
    turned = pose.rotation.apply(rays / lengths[:, None])
    return np.broadcast_to(pose.position, turned.shape), turned, lengths


def exposure_rays(
    camera: Camera, poses: Sequence[Pose], samples: int, rng: np.random.Generator
) -> tuple[Float, Float]:
    """Return origins and unit directions (height * width * samples, 3) of an exposure.

    Each pixel's samples are spread over its area at random, and over the time evenly: sample k is
    at a random moment of the k-th part of the exposure. So few samples show no steps.

    Args:
        camera: undistorted pinhole.
        poses: of the exposure, at the middles of equal parts of it.
        samples: of each pixel.
        rng: source of every choice.
    """
    v, u, k = (index.ravel() for index in np.mgrid[: camera.height, : camera.width, :samples])
    shift = rng.random((2, len(u)), dtype=np.float32) - np.float32(0.5)
    rays = directions(camera, u + shift[0], v + shift[1]).astype(np.float32)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    when = (k + rng.random(len(k), dtype=np.float32)) * (len(poses) / samples)
    moment = np.minimum(when.astype(np.int64), len(poses) - 1)
    turns = np.stack([pose.rotation.as_matrix() for pose in poses]).astype(np.float32)
    places = np.stack([pose.position for pose in poses]).astype(np.float32)
    turned = np.einsum("nij,nj->ni", turns[moment], rays)
    return places[moment], np.asarray(turned, np.float32)
