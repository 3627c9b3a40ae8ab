"""A mirrored batch is what a mirrored world would have given."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from blur_imu_ros.core.motion_field import double_angle  # noqa: E402
from blur_imu_training.training.reuse import ReusedBatches, mirrored, transformed, transposed  # noqa: E402


def batch_of(field: np.ndarray) -> dict[str, torch.Tensor]:
    rows, columns = field.shape[:2]
    rng = np.random.default_rng(0)
    return {
        "image": torch.from_numpy(rng.integers(0, 256, (1, 3, rows * 8, columns * 8))),
        "q": torch.from_numpy(double_angle(field)).permute(2, 0, 1)[None],
        "log_inverse_depth": torch.from_numpy(rng.random((1, rows, columns))),
        "depth_weight": torch.ones(1),
        "rows": torch.from_numpy(rng.random((1, 2, 6, rows, columns))),
        "motion": torch.from_numpy(rng.random((1, 6))),
    }


FIELD = np.random.default_rng(1).normal(size=(4, 6, 2))


@pytest.mark.parametrize(("axis", "signs"), [(1, (-1, 1)), (0, (1, -1))], ids=["left", "up"])
def test_mirrored_motion(axis: int, signs: tuple[int, int]) -> None:
    world = np.flip(FIELD, axis) * signs
    expected, found = batch_of(world)["q"], mirrored(batch_of(FIELD), axis - 2)["q"]
    torch.testing.assert_close(found, expected)


def test_transposed_motion() -> None:
    world = FIELD.transpose(1, 0, 2)[..., ::-1]
    torch.testing.assert_close(transposed(batch_of(FIELD))["q"], batch_of(world)["q"])


def test_twice_is_nothing() -> None:
    once = batch_of(FIELD)
    for twice in (mirrored(mirrored(once, -1), -1), transposed(transposed(once))):
        for name, value in once.items():
            torch.testing.assert_close(twice[name], value)


def test_every_batch_is_used_about_as_often_as_asked() -> None:
    batches = [batch_of(FIELD) | {"depth_weight": torch.full((1,), float(i))} for i in range(200)]
    used = [int(b["depth_weight"]) for b in ReusedBatches(3, np.random.default_rng(0)).of(batches)]
    assert len(used) == 600
    counts = np.bincount(used, minlength=200)
    assert counts.min() >= 1 and counts[:150].mean() == pytest.approx(3, abs=0.5)


def test_transformed_batches_keep_their_lengths() -> None:
    rng, once = np.random.default_rng(0), batch_of(FIELD)
    for _ in range(20):
        lengths = transformed(once, rng)["q"].norm(dim=1).sort().values.sum()
        torch.testing.assert_close(lengths, once["q"].norm(dim=1).sum())


def test_what_is_kept_can_be_gone_on_with() -> None:
    """From any step: batches are had again by their numbers, then the rest."""
    batches = [batch_of(FIELD + i) for i in range(120)]
    whole = list(ReusedBatches(2, np.random.default_rng(0)).of(batches))
    for cut in (1, 2, 77, 150):
        first = ReusedBatches(2, np.random.default_rng(0))
        begun = list(itertools.islice(first.of(batches), cut))
        second = ReusedBatches(2, np.random.default_rng(5))
        second.restore(json.loads(json.dumps(first.state())))
        coming = [batches[i] for i in [*second.kept, *range(second.taken, 120)]]
        gone_on = [*begun, *second.of(coming)]
        assert len(gone_on) == len(whole)
        for one, other in zip(gone_on, whole, strict=True):
            assert torch.equal(one["q"], other["q"])


def test_batches_that_are_used_once_are_not_kept() -> None:
    reused = ReusedBatches(1, np.random.default_rng(0))
    assert len(list(reused.of([batch_of(FIELD)] * 5))) == 5
    assert reused.kept == [] and reused.taken == 5
