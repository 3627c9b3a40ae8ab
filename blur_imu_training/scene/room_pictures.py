"""Rooms made from nothing, with exact depth: what lets a training without any data learn depth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.simulation.room_renderer import Pose, Scene, furnished_room
from blur_imu_training.scene.sharp_images import SharpImage, SharpImages

ROOMS, VIEWS_A_ROOM = 80, 6
WIDTH, HEIGHT = 480, 360
FIELD_OF_VIEW = (50.0, 100.0)
"""Degrees, horizontal."""

TILT, ROLL = 15.0, 8.0
"""Degrees, standard deviations of how cameras are held."""

SMALLEST, LARGEST = (0.6, 0.8, 0.6), (1.5, 1.3, 1.5)
"""How much rooms are stretched along their width, height and depth."""

STANDING_ROOM = np.array([1.6, 0.5, 1.6])
"""Metres, half the sides of the middle of an unstretched room in which cameras are."""

NEAREST = 0.35
"""Metres. Views of anything nearer are drawn again: the camera stands in the furniture."""


class RoomPictures(SharpImages):
    """Views of furnished rooms, rendered when they are first asked for and then kept."""

    def __init__(self, seed: int = 0) -> None:
        """Take the seed of all rooms."""
        super().__init__()
        self._seed = seed
        self._rooms: dict[int, list[SharpImage]] = {}

    def __len__(self) -> int:
        """Return the number of views."""
        return ROOMS * VIEWS_A_ROOM

    def draw(self, index: int, rng: np.random.Generator) -> SharpImage:
        """Return view `index`; nothing is left to `rng`."""
        room, view = divmod(index, VIEWS_A_ROOM)
        if room not in self._rooms:
            self._rooms[room] = _views(self._seed, room)
        return self._rooms[room][view]


def _views(seed: int, room: int) -> list[SharpImage]:
    rng = np.random.default_rng((seed, room))
    stretch = rng.uniform(SMALLEST, LARGEST)
    scene = furnished_room(int(rng.integers(2**31))).stretched(stretch)
    return [_view(scene, stretch, rng) for _ in range(VIEWS_A_ROOM)]


def _view(scene: Scene, stretch: NDArray[np.float64], rng: np.random.Generator) -> SharpImage:
    focal = WIDTH / 2 / np.tan(np.radians(rng.uniform(*FIELD_OF_VIEW)) / 2)
    camera = Camera(WIDTH, HEIGHT, focal, focal, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    while True:
        pose = _pose(stretch, rng)
        inverse_depth = scene.inverse_depth(camera, pose)
        if 0 < inverse_depth.min() and inverse_depth.max() < 1 / NEAREST:
            break
    light = np.clip(scene.radiance(camera, pose) * np.exp(rng.normal(0.3, 0.3)), 0, 1)
    image = np.asarray(light ** (1 / 2.2) * 255 + 0.5, np.uint8)
    return SharpImage(image, inverse_depth, float(focal), depth_is_real=True)


def _pose(stretch: NDArray[np.float64], rng: np.random.Generator) -> Pose:
    angles = [rng.uniform(-180, 180), rng.normal(0, TILT), rng.normal(0, ROLL)]
    place = rng.uniform(-STANDING_ROOM, STANDING_ROOM) * stretch
    return Pose(Rotation.from_euler("YXZ", angles, degrees=True), place)
