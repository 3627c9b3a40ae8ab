"""The published losses are least at the ground truth, of either sign, and their gradients are
right."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from torch.utils.data import default_collate  # noqa: E402

from blur_imu_ros.core.camera import Camera  # noqa: E402
from blur_imu_ros.core.motion_field import motion_field  # noqa: E402
from blur_imu_ros.network.architectures.published import PublishedOutput  # noqa: E402
from blur_imu_training.rendering.samples import BlurredSample  # noqa: E402
from blur_imu_training.scene.exposure_motion import ExposureMotion, Shutter  # noqa: E402
from blur_imu_training.training.published_loss import published_losses, true_of_pixels  # noqa: E402
from blur_imu_training.training.tasks import TASKS  # noqa: E402

CAMERA = Camera(96, 64, 80.0, 80.0, 47.5, 31.5)
Batch = dict[str, torch.Tensor]


def batch_of(**changes: object) -> Batch:
    """Return two samples of a tilted plane, in double precision."""
    samples = []
    for sign in (1, -1):
        theta, t = sign * np.array([0.05, -0.08, 0.1]), sign * np.array([0.02, 0.03, -0.05])
        motion = ExposureMotion(theta, t, np.zeros(3), np.zeros(3))
        depth = np.full((8, 12), 0.5, np.float32)
        depth *= np.linspace(0.9, 1.1, 12, dtype=np.float32)
        sample = BlurredSample(
            np.zeros((64, 96, 3), np.uint8), CAMERA, motion, Shutter(0.01),
            np.zeros((8, 12, 2), np.float32), depth, True, **changes,
        )  # fmt: skip
        samples.append(sample.tensors(CAMERA.focal))
    return {k: v.double() for k, v in default_collate(samples).items()}


def test_the_flow_of_pixels_is_the_motion_field() -> None:
    batch = batch_of()
    flow, depth = true_of_pixels(batch)
    u, v = np.meshgrid(np.arange(96.0), np.arange(64.0))
    inverse = 1 / depth[0, 0].numpy()
    expected = motion_field(CAMERA, u, v, inverse, *np.split(batch["motion"][0].numpy(), 2))
    # Rows of the motion field are quadratic in the pixel; between cells they are read as linear.
    np.testing.assert_allclose(flow[0].permute(1, 2, 0), expected, atol=0.05)
    assert depth.shape == (2, 1, 64, 96)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_truth_costs_nothing_whatever_its_sign(sign: int) -> None:
    batch = batch_of()
    flow, depth = true_of_pixels(batch)
    losses = published_losses(PublishedOutput(sign * flow, depth), batch, 1e3)
    assert float(losses["flow"]) < 1e-9 and float(losses["depth"]) < 1e-9
    assert float(losses["pose"]) < 1e-7


def test_a_longer_flow_costs_its_length_and_its_pose() -> None:
    batch = batch_of()
    flow, depth = true_of_pixels(batch)
    losses = published_losses(PublishedOutput(1.2 * flow, depth), batch, 1e3)
    assert float(losses["flow"]) == pytest.approx(0.2 * float(flow.abs().mean()), rel=1e-6)
    error = 10 * (0.2 * batch["motion"][0, 3:]).square().mean()
    assert float(losses["pose"]) > float(error)
    assert float(losses["total"]) == pytest.approx(
        1e-4 * float(losses["flow"]) + 1e3 * float(losses["pose"]), rel=1e-6
    )


def test_an_unknown_translation_is_not_judged() -> None:
    def pose(known: bool) -> float:
        batch = batch_of(translation_is_known=known)
        flow, depth = true_of_pixels(batch)
        wrong = batch | {"motion": batch["motion"] * torch.tensor([1, 1, 1, 2, 2, 2.0])}
        return float(published_losses(PublishedOutput(flow, depth), wrong, 1e3)["pose"])

    assert pose(known=True) > 1e-4
    assert pose(known=False) < 1e-7


def test_recorded_frames_keep_what_the_network_said_before() -> None:
    batch = batch_of(is_recorded=True)
    batch["recorded"][1] = 0
    flow, depth = true_of_pixels(batch)
    said = PublishedOutput(flow + 1, depth + 1)
    labelled = TASKS["published"].labelled(batch, said)
    torch.testing.assert_close(labelled["flow"], torch.stack([flow[0] + 1, flow[1]]))
    torch.testing.assert_close(labelled["depth"], torch.stack([depth[0] + 1, depth[1]]))
    assert float(published_losses(said, labelled, 0)["flow"]) == pytest.approx(0.5, rel=0.01)


def test_gradients_are_those_of_finite_differences() -> None:
    batch = batch_of()
    flow, depth = true_of_pixels(batch)
    rng = np.random.default_rng(0)
    wrong = flow * 1.1 + torch.as_tensor(rng.normal(0, 0.5, flow.shape))

    def total(push: torch.Tensor, further: torch.Tensor) -> torch.Tensor:
        out = PublishedOutput(wrong + push, depth * torch.exp(further))
        # In units of their own, or the weights would hide errors of the smaller parts.
        losses = published_losses(out, batch, 1.0)
        return torch.stack([losses["flow"], losses["depth"], 1e3 * losses["pose"]])

    zero = torch.zeros(1, 1, 1, 1, dtype=torch.double)
    inputs = (zero.clone().requires_grad_(), (zero + 0.1).requires_grad_())
    assert torch.autograd.gradcheck(total, inputs, atol=1e-4)
