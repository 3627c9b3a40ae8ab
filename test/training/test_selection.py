"""Within a training, held-out blur decides which weights are kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from blur_imu_ros.errors import ModelError  # noqa: E402
from blur_imu_training.data.held_out import EXPOSURE_TIME, held_out_frames  # noqa: E402
from blur_imu_training.recipe import HeldOut  # noqa: E402
from blur_imu_training.training import selection  # noqa: E402
from blur_imu_training.training.checkpoint import BEST, load_run  # noqa: E402
from blur_imu_training.training.selection import Figures, Selection  # noqa: E402
from blur_imu_training.training.tasks import TASKS  # noqa: E402
from blur_imu_training.training.trainer import Trainer  # noqa: E402
from helpers.small_training import CONFIG, Ticks, few_pictures, wall_frames  # noqa: E402

CARD = TASKS["compact"].card("", 250.0, {})


@pytest.fixture(autouse=True)
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blur_imu_training.training.trainer.load_pictures", few_pictures)
    monkeypatch.setattr(selection, "held_out_frames", wall_frames)


class Fake(torch.nn.Module):
    """A network that reads the same everywhere."""

    def __init__(self, length: float) -> None:
        super().__init__()
        self.length = torch.nn.Parameter(torch.tensor(length))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        cells = torch.ones(1, 1, 28, 40)
        q = self.length * torch.cat([cells, 0 * cells], 1)
        return q, 0 * cells, torch.zeros(1, 2, 28, 40)


def test_the_lower_score_is_kept() -> None:
    chosen = Selection(HeldOut(3), None, CARD, 100)
    mad = chosen.measure(Fake(200.0))
    assert chosen.best is mad
    still = chosen.measure(Fake(0.01))
    assert still.rotation_error == pytest.approx(1, abs=0.02)
    assert chosen.best is still and still.score < mad.score
    chosen.measure(Fake(200.0))
    assert chosen.best is still and chosen.last is not still


def test_the_ratio_of_lengths_is_that_of_predicted_to_true_ones() -> None:
    chosen = Selection(HeldOut(3), None, CARD, 100)
    short, long = chosen.measure(Fake(5.0)), chosen.measure(Fake(10.0))
    assert long.length_ratio == pytest.approx(2 * short.length_ratio, rel=1e-6)
    (frame,) = wall_frames(None, 1)
    alone = Selection(HeldOut(1), None, CARD, 100).measure(Fake(10.0))
    turned = 250 * EXPOSURE_TIME * float(np.linalg.norm(frame.angular_velocity[:2]))
    assert 0.3 < alone.length_ratio * turned / 10.0 < 3


def test_frames_are_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(selection, "held_out_frames", lambda *a: calls.append(a) or wall_frames(*a))
    chosen = Selection(HeldOut(2), None, CARD, 100)
    chosen.measure(Fake(1.0))
    chosen.measure(Fake(2.0))
    assert calls == [(None, 2)]


def test_it_takes_no_more_than_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Selection(HeldOut(2, share=0.04), None, CARD, 1000)
    assert not chosen.is_due(49) and chosen.is_due(50)
    moments = iter([0.0, 6.0, 8.0])  # 6 s of rendering, 2 s of measuring
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    chosen.measure(Fake(1.0))
    assert not chosen.is_due(249) and chosen.is_due(251)
    assert not Selection(HeldOut(0), None, CARD, 1000).is_due(999)


def test_a_run_keeps_its_best_and_tells_its_figures(tmp_path: Path) -> None:
    config = replace(CONFIG, validation=HeldOut(frames=2, share=1.0))
    trainer = Trainer(config, None, tmp_path, 4 / 60, clock=Ticks())
    trainer.run()
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    scores = [row["score"] for row in rows if "score" in row]
    assert len(scores) >= 2
    network, facts = load_run(tmp_path, best=True)
    assert facts["held_out"]["score"] == pytest.approx(min(scores), abs=1e-4)
    assert facts["selected_on"] == ["procedural rooms: ours"]
    again = Selection(HeldOut(2), None, CARD, 100).measure(network)
    assert again.score == pytest.approx(facts["held_out"]["score"], abs=1e-3)
    assert Figures.of_file(tmp_path / BEST) == trainer.selection.best
    assert "zero velocity: 100%" in trainer.summary()


def test_a_resumed_run_does_not_take_worse_for_best(tmp_path: Path) -> None:
    config = replace(CONFIG, validation=HeldOut(frames=2, share=0.0))
    first = Trainer(config, None, tmp_path, 2 / 60, clock=Ticks())
    first.run()
    first.selection.best = Figures(0.0, 0.0, 1.0)
    first._save_best()
    before = (tmp_path / BEST).read_bytes()
    Trainer(config, None, tmp_path, 4 / 60, clock=Ticks()).run()
    assert (tmp_path / BEST).read_bytes() == before


def test_the_best_of_a_run_that_was_not_validated_is_refused(tmp_path: Path) -> None:
    Trainer(CONFIG, None, tmp_path, 1 / 60, clock=Ticks()).run()
    with pytest.raises(ModelError, match="nothing was validated"):
        load_run(tmp_path, best=True)


def test_without_data_rooms_are_held_out() -> None:
    (frame,) = held_out_frames(None, 1)
    assert frame.frame.image.shape == (360, 480, 3) and frame.inverse_depth.min() > 0
