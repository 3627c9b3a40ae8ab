"""What the solved velocity says about a field, and that its gradients are right."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from torch.utils.data import default_collate  # noqa: E402

from blur_imu_ros.core.blur_field import cell_centres  # noqa: E402
from blur_imu_ros.core.camera import Camera  # noqa: E402
from blur_imu_ros.core.motion_field import double_angle, motion_field, motion_rows  # noqa: E402
from blur_imu_ros.network.architectures.compact import CompactOutput  # noqa: E402
from blur_imu_training.rendering.samples import SampleStream  # noqa: E402
from blur_imu_training.scene.sharp_images import ProceduralPictures, WeightedMixture  # noqa: E402
from blur_imu_training.training.pose_loss import oriented, pose_loss  # noqa: E402
from blur_imu_training.training.reuse import mirrored, transposed  # noqa: E402

ROWS, COLUMNS = 14, 20
CAMERA = Camera(COLUMNS * 8, ROWS * 8, 120, 120, 79.5, 55.5)
MOTION = np.array([0.05, -0.08, 0.1, 0.02, 0.01, -0.03])

Batch = dict[str, torch.Tensor]


def scene() -> np.ndarray:
    """(rows, columns) inverse depth of a room with something near in it."""
    near = np.full((ROWS, COLUMNS), 0.4)
    near[4:9, 3:9] = 1.2
    return near + 0.02 * np.arange(ROWS)[:, None]


def batch_of(motion: np.ndarray, depth_is_real: bool = True) -> tuple[Batch, np.ndarray]:
    """Return a batch of one and its motion field, focal reference as the camera's."""
    u, v = cell_centres(ROWS, COLUMNS, 8)
    inverse = scene()
    field = motion_field(CAMERA, u, v, inverse, motion[:3], motion[3:])
    rows = motion_rows(CAMERA, u, v, np.ones_like(u)).transpose(2, 3, 0, 1)
    arrays = {
        "image": np.zeros((3, ROWS * 8, COLUMNS * 8), np.uint8),
        "q": double_angle(field).transpose(2, 0, 1),
        "log_inverse_depth": np.log(inverse),
        "depth_weight": np.float64(depth_is_real),
        "rows": rows,
        "motion": motion,
        "known": np.ones(6),
    }
    return {k: torch.as_tensor(v)[None] for k, v in arrays.items()}, field


def output(q: torch.Tensor, batch: Batch) -> CompactOutput:
    even = torch.zeros(len(q), 2, *q.shape[2:], dtype=q.dtype)
    return CompactOutput(q, batch["log_inverse_depth"][:, None], even)


def loss_of_field(field: np.ndarray, batch: Batch) -> float:
    q = torch.as_tensor(double_angle(field)).permute(2, 0, 1)[None]
    return float(pose_loss(output(q, batch), batch))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_true_field_costs_nothing_whatever_its_sign(sign: int) -> None:
    batch, field = batch_of(sign * MOTION)
    assert loss_of_field(field, batch) < 1e-3


def test_a_field_all_too_long_costs_what_it_is_too_long_by() -> None:
    batch, field = batch_of(np.array([0.0, 0.1, 0, 0, 0, 0]))
    length = np.sqrt((field**2).sum(-1).mean())
    assert loss_of_field(1.2 * field, batch) == pytest.approx(
        0.2 * length / (1 + 0.1 * length), rel=0.02
    )


def test_noise_that_averages_out_costs_little() -> None:
    batch, field = batch_of(MOTION)
    noise = np.random.default_rng(0).normal(0, 0.1, field.shape[:2])[..., None]
    assert loss_of_field(field * (1 + noise), batch) < 0.5 * loss_of_field(field * 1.1, batch)


def test_a_turn_taken_for_a_shift_costs_more_than_its_pixels() -> None:
    """Near passes as fast as far: that no shift is seen is what the loss must tell."""
    batch, field = batch_of(np.array([0, 0, 0, 0.05, 0, 0]))
    u, v = cell_centres(ROWS, COLUMNS, 8)
    turn = motion_field(CAMERA, u, v, scene(), np.array([0, 0.025, 0]), np.zeros(3))
    rms = np.sqrt(((turn - field) ** 2).sum(-1).mean())
    length = np.sqrt((field**2).sum(-1).mean())
    assert loss_of_field(turn, batch) > 2 * rms / (1 + 0.1 * length)


def test_the_symmetries_of_training_keep_it() -> None:
    batch, _ = batch_of(MOTION)
    wrong = batch | {"q": batch["q"] * 1.1 + 0.3}

    def error(truth: Batch, guess: Batch) -> float:
        return float(pose_loss(output(guess["q"], truth), truth))

    as_it_is = error(batch, wrong)
    for symmetry in (lambda b: mirrored(b, -1), lambda b: mirrored(b, -2), transposed):
        assert error(symmetry(batch), symmetry(batch)) < 1e-3
        assert error(symmetry(batch), symmetry(wrong)) == pytest.approx(as_it_is, rel=1e-6)


def test_depth_is_learned_where_it_is_real_and_only_there() -> None:
    for real in (True, False):
        batch, _ = batch_of(MOTION, depth_is_real=real)
        depth = (
            batch["log_inverse_depth"][:, None] + 0.3 * torch.randn(1, 1, ROWS, COLUMNS)
        ).requires_grad_()
        out = output(batch["q"], batch)._replace(log_inverse_depth=depth)
        pose_loss(out, batch).backward()
        assert (float(depth.grad.abs().sum()) > 0) == real


def test_gradients_of_the_solve_are_those_of_finite_differences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch, _ = batch_of(MOTION)
    rng = np.random.default_rng(1)
    # Weights are constants to the gradient.
    fixed = torch.as_tensor(rng.uniform(0.5, 2, (1, ROWS * COLUMNS)))
    monkeypatch.setattr("blur_imu_training.training.pose_loss._weights", lambda *_: fixed)
    wrong = batch["q"] * 1.1 + torch.as_tensor(rng.normal(0, 0.5, batch["q"].shape))
    depth = batch["log_inverse_depth"][:, None] + 0.1

    def loss(push: torch.Tensor, nearer: torch.Tensor) -> torch.Tensor:
        return pose_loss(
            output(wrong + push, batch)._replace(log_inverse_depth=depth + nearer), batch
        )

    zero = torch.zeros(1, 1, 1, 1, dtype=torch.double)
    assert torch.autograd.gradcheck(loss, (zero.clone().requires_grad_(), zero.requires_grad_()))


def test_where_only_a_gyroscope_tells_the_truth_only_turns_are_judged() -> None:
    """The shift is read as what the field shows beside the turn."""
    batch, field = batch_of(MOTION)
    gyro = batch | {
        "motion": batch["motion"] * torch.tensor([1, 1, 1, 0, 0, 0]),
        "known": torch.tensor([[1, 1, 1, 0, 0, 0]]),
    }
    assert (
        loss_of_field(field, gyro) < 1e-3 < loss_of_field(field, gyro | {"known": batch["known"]})
    )
    u, v = cell_centres(ROWS, COLUMNS, 8)
    faster = motion_field(CAMERA, u, v, scene(), MOTION[:3] * 1.2, MOTION[3:])
    assert loss_of_field(faster, gyro) > 0.05


def test_gradients_where_only_a_gyroscope_tells_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, _ = batch_of(MOTION)
    fixed = torch.as_tensor(np.random.default_rng(1).uniform(0.5, 2, (1, ROWS * COLUMNS)))
    monkeypatch.setattr("blur_imu_training.training.pose_loss._weights", lambda *_: fixed)
    # The shift that is read as the ground truth is a constant to the gradient, too.
    monkeypatch.setattr("blur_imu_training.training.pose_loss.with_unknown_shift", lambda m, *_: m)
    batch["known"] = torch.tensor([[1, 1, 1, 0, 0, 0]])

    def loss(push: torch.Tensor) -> torch.Tensor:
        return pose_loss(output(batch["q"] * 1.1 + push, batch), batch)

    assert torch.autograd.gradcheck(
        loss, torch.zeros(1, 1, 1, 1, dtype=torch.double, requires_grad=True)
    )


def test_gradients_of_the_orientation() -> None:
    _, field = batch_of(MOTION)
    along = torch.as_tensor(field).permute(2, 0, 1).flatten(1)[None, :, ::9]
    q = torch.as_tensor(double_angle(field)).permute(2, 0, 1).flatten(1)[None, :, ::9]
    q = (q + 0.5 * torch.randn(q.shape, dtype=q.dtype)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: oriented(x, along), q)


def test_samples_bring_the_equations_of_their_own_field() -> None:
    stream = SampleStream(WeightedMixture([(ProceduralPictures(), 1.0)]), 96, 64, 20.0, seed=2)
    batch = default_collate([stream[i].tensors(250.0) for i in range(6)])
    assert float(pose_loss(output(batch["q"], batch), batch)) < 2e-3
