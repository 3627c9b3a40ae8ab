"""A network that takes images of any size sees most of an image, whatever its shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.visual_imu import VisualImu, network_view
from blur_imu_ros.errors import ModelError
from blur_imu_ros.network.blur_network import BlurNetwork, load_network, shipped_models
from blur_imu_ros.network.model_card import INTERFACE, SIGNED_FLOW, ModelCard
from blur_imu_ros.network.view_sizes import in_shape_of, smaller

FULL = (480, 352)
STRIDE = 8


class Seeing:
    """A backend that reads so many pixels of blur everywhere, and keeps the sizes it was given."""

    runs_on = "nothing"

    def __init__(self, length: float = 4.0) -> None:
        self.length, self.seen = length, []

    def run(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        rows, columns = image.shape[2] // STRIDE, image.shape[3] // STRIDE
        self.seen.append((image.shape[3], image.shape[2]))
        q = np.zeros((1, 2, rows, columns))
        q[:, 0] = self.length
        return q, np.zeros((1, 1, rows, columns)), np.zeros((1, 2, rows, columns))


def network_of(backend: Seeing, any_size: bool = True) -> BlurNetwork:
    card = ModelCard("c", INTERFACE, *FULL, STRIDE, (0, 0, 0), (1, 1, 1), 400.0, "")
    return BlurNetwork(backend, replace(card, smaller_view=(224, 160), any_size=any_size))


def camera_of(width: int, height: int) -> Camera:
    return Camera(width, height, 900.0, 900.0, (width - 1) / 2, (height - 1) / 2)


@pytest.mark.parametrize(
    ("image", "view"),
    [
        ((640, 480), FULL),
        ((688, 516), FULL),
        ((1920, 1080), (544, 320)),
        ((1280, 720), (544, 320)),
        ((1080, 1920), (320, 544)),
        ((480, 640), (352, 480)),
        ((1280, 1024), (448, 352)),
        ((500, 500), (416, 416)),
        ((4000, 400), (640, 256)),
    ],
)
def test_a_view_has_the_shape_of_the_image(image, view) -> None:
    assert in_shape_of(camera_of(*image), FULL) == view
    assert view[0] * view[1] == pytest.approx(FULL[0] * FULL[1], rel=0.1)


@pytest.mark.parametrize("image", [(1920, 1080), (1080, 1920), (480, 640), (752, 480)])
def test_most_of_an_image_is_in_the_view(image) -> None:
    camera = camera_of(*image)
    view = network_view(network_of(Seeing()), camera).camera
    shown = view.width / view.fx * camera.fx * view.height / view.fy * camera.fy
    assert shown > 0.94 * camera.width * camera.height


def test_a_model_of_one_size_keeps_it() -> None:
    assert network_of(Seeing(), False).view_size(camera_of(1080, 1920)) == FULL


def test_a_frame_is_measured_in_a_view_of_its_shape() -> None:
    backend, camera = Seeing(60.0), camera_of(1080, 1920)
    image = np.zeros((1920, 1080, 3), np.uint8)
    measured = VisualImu(network_of(backend)).measure(Frame(image, 0.0, 0.01, camera, "0"))
    # Long blur is read again, in a view that is as much smaller as that of the card.
    assert backend.seen == [(320, 544), (160, 256)]
    assert measured.field is not None and measured.field.sigma.shape == (68, 40)


def test_the_smaller_view_of_the_full_one_is_that_of_the_card() -> None:
    assert smaller(FULL, FULL, (224, 160)) == (224, 160)
    assert smaller((352, 480), FULL, (224, 160)) == (160, 224)


@pytest.mark.parametrize("model", shipped_models())
def test_the_shipped_models_read_upright_images(model) -> None:
    network, camera = load_network(model, "onnx"), camera_of(480, 640)
    width, height = network.view_size(camera)
    assert width < height
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    view = network_view(network, camera).camera
    field = network.predict(image, view)
    assert field.sigma.shape == (height // STRIDE, width // STRIDE)


def test_any_size_of_networks_that_tell_signs_is_refused() -> None:
    card = ModelCard("c", SIGNED_FLOW, *FULL, STRIDE, (0, 0, 0), (1, 1, 1), 400.0, "")
    known = replace(card, flow_sigma=1.0, log_depth_sigma=1.0, any_size=True)
    with pytest.raises(ModelError, match="our own networks"):
        known.check(Path("card.json"))
