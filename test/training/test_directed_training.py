"""A precision that depends on the direction: how it is learned, and from which weights."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from accelerate import Accelerator  # noqa: E402
from scipy.linalg import expm  # noqa: E402
from test_pose_loss import MOTION, batch_of  # noqa: E402

from blur_imu_ros.errors import TrainingError  # noqa: E402
from blur_imu_ros.network.architectures.compact import (  # noqa: E402
    CompactNetwork,
    CompactOutput,
    DirectedOutput,
    with_direction,
)
from blur_imu_ros.network.blur_network import model_path  # noqa: E402
from blur_imu_training.recipe import SHIPPED, NetworkChoice, TrainingConfig  # noqa: E402
from blur_imu_training.training.directions import along, oriented, whitened  # noqa: E402
from blur_imu_training.training.ema_model import EmaModel  # noqa: E402
from blur_imu_training.training.losses import field_loss  # noqa: E402
from blur_imu_training.training.pose_loss import pose_loss  # noqa: E402
from blur_imu_training.training.reuse import mirrored, transposed  # noqa: E402
from helpers.command_line import needs_model  # noqa: E402

COMPACT = SHIPPED / "compact.yaml"


def test_whitened_errors_have_the_mahalanobis_length() -> None:
    rng = np.random.default_rng(0)
    errors, shape = torch.tensor(rng.standard_normal((2, 1, 2, 50)))
    found = whitened(errors, shape)[0].square().sum(0)
    for e, (a, b), length in zip(errors[0].T.numpy(), shape[0].T.numpy(), found, strict=True):
        expected = e @ np.linalg.inv(expm([[a, b], [b, -a]])) @ e
        assert float(length) == pytest.approx(expected, rel=1e-5)


def test_the_motion_of_a_field_has_its_double_angle_on_either_side() -> None:
    q = torch.randn(1, 2, 40, generator=torch.Generator().manual_seed(1))
    motion = along(q)
    length = motion.square().sum(1).sqrt()
    back = (
        torch.stack([motion[:, 0] ** 2 - motion[:, 1] ** 2, 2 * motion[:, 0] * motion[:, 1]], 1)
        / length
    )
    torch.testing.assert_close(back, q)
    torch.testing.assert_close(oriented(q, -motion), -motion, atol=2e-3, rtol=1e-3)


def output_of(q: torch.Tensor, log_sigma: float, anisotropy: torch.Tensor) -> DirectedOutput:
    cells = torch.zeros(len(q), 1, *q.shape[2:], dtype=q.dtype)
    sigma = torch.cat([cells + log_sigma, cells], 1)
    return DirectedOutput(q, cells, sigma, anisotropy.expand_as(q))


def test_the_likelihood_is_best_at_the_true_covariance() -> None:
    """Errors three times as large along the motion as across it, which goes to the right."""
    rng = torch.Generator().manual_seed(2)
    motion = torch.tensor([40.0, 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 60, 80)
    distance = torch.distributions.Gamma(2.0, 3**0.5).sample((1, 1, 60, 80))
    angle = 2 * torch.pi * torch.rand(1, 1, 60, 80, generator=rng)
    noisy = motion + distance * torch.cat([3 * angle.cos(), angle.sin()], 1)
    x, y = noisy[:, :1], noisy[:, 1:]
    q = torch.cat([x * x - y * y, 2 * x * y], 1) / (x * x + y * y).sqrt()
    true_q = torch.tensor([40.0, 0.0]).reshape(1, 2, 1, 1).expand_as(q)
    batch = {
        "q": true_q,
        "log_inverse_depth": torch.zeros(1, 60, 80),
        "depth_weight": torch.zeros(1),
    }

    def doubt(log_sigma: float, a: float, b: float = 0.0) -> float:
        shape = torch.tensor([a, b]).reshape(1, 2, 1, 1)
        return float(field_loss(output_of(q, log_sigma, shape), batch)["doubt"])

    best = doubt(np.log(3**0.5), np.log(3))
    for other in (
        doubt(np.log(3**0.5), 0.0),
        doubt(np.log(3**0.5), np.log(3), 0.5),
        doubt(np.log(3**0.5), 2 * np.log(3)),
        doubt(np.log(3**0.5) + 0.3, np.log(3)),
        doubt(np.log(3**0.5) - 0.3, np.log(3)),
    ):
        assert best < other


@pytest.mark.parametrize(
    "change", [lambda b: mirrored(b, -1), lambda b: mirrored(b, -2), transposed]
)
def test_losses_are_those_of_the_mirrored_scene(change) -> None:
    batch, _ = batch_of(MOTION)
    rng = torch.Generator().manual_seed(3)
    q = batch["q"] + torch.randn(batch["q"].shape, generator=rng, dtype=torch.float64)
    shape = torch.randn(q.shape, generator=rng, dtype=torch.float64)

    def losses(batch, q, shape) -> tuple[float, float]:
        depth = batch["log_inverse_depth"][:, None]
        out = DirectedOutput(q, depth, torch.zeros_like(q), shape)
        return float(field_loss(out, batch)["doubt"]), float(pose_loss(out, batch))

    there = change(batch)
    same_q, same_shape = (change(batch | {"q": one})["q"] for one in (q, shape))
    assert losses(there, same_q, same_shape) == pytest.approx(losses(batch, q, shape), rel=1e-4)


def test_a_round_precision_costs_the_solved_velocity_what_it_cost() -> None:
    batch, _ = batch_of(MOTION)
    noise = torch.randn(batch["q"].shape, generator=torch.Generator().manual_seed(4))
    q, depth = batch["q"] + noise, batch["log_inverse_depth"][:, None]
    sigma = torch.zeros_like(q)
    one = pose_loss(CompactOutput(q, depth, sigma), batch)
    other = pose_loss(DirectedOutput(q, depth, sigma, torch.zeros_like(q)), batch)
    assert float(other) == pytest.approx(float(one), rel=1e-5)


def test_gradients_of_directions_are_numbers_where_all_is_round_and_still() -> None:
    still, _ = batch_of(np.zeros(6))
    shape = torch.zeros_like(still["q"], requires_grad=True)
    q = torch.zeros_like(still["q"], requires_grad=True)
    out = DirectedOutput(q, still["log_inverse_depth"][:, None], torch.zeros_like(q), shape)
    (field_loss(out, still)["total"] + pose_loss(out, still)).backward()
    assert torch.isfinite(shape.grad).all() and torch.isfinite(q.grad).all()


def test_a_network_that_learns_directions_begins_with_what_another_reads() -> None:
    small = ((8, 8, 8, 8, 8), (1, 1, 1, 1), 1)
    plain, directed = CompactNetwork(*small), CompactNetwork(*small, directed=True)
    directed.load_state_dict(with_direction(plain.state_dict(), "head.1"))
    image = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        one, other = plain.eval()(image), directed.eval()(image)
    for a, b in zip(one, other[:3], strict=True):
        torch.testing.assert_close(a, b)
    assert not other.anisotropy.any()
    assert with_direction(directed.state_dict(), "head.1") is not None


def test_directions_without_an_uncertainty_are_refused() -> None:
    with pytest.raises(ValueError, match="directed is of the compact one"):
        NetworkChoice.of({"directed": True, "uncertainty": False})


@needs_model
@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_begin_with_the_weights_that_they_name(path: Path, tmp_path: Path) -> None:
    named = re.search(r"--weights models/(\w+)\.safetensors", path.read_text())
    if named is None:
        pytest.skip("begins with random weights, or with those of a run")
    weights = model_path(named[1]).with_suffix(".safetensors")
    EmaModel(TrainingConfig.load(path), Accelerator(cpu=True), tmp_path, weights)


@needs_model
def test_weights_with_a_direction_name_what_the_recipe_lacks(tmp_path: Path) -> None:
    weights = model_path("compact").with_suffix(".safetensors")
    with pytest.raises(TrainingError, match=r"head.*network.*directed: true"):
        EmaModel(TrainingConfig.load(COMPACT), Accelerator(cpu=True), tmp_path, weights)
