"""Recipes: shipped ones load, broken ones are named with what is wrong in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from blur_imu_ros.errors import TrainingError
from blur_imu_training.data.picture_sets import load_pictures
from blur_imu_training.recipe import SHIPPED, TrainingConfig, recipe_path

MINIMAL = """\
seed: 11
focal_reference: 250.0
peak_learning_rate: 4.0e-4
weight_decay: 0.01
ema_decay: 0.9990
pictures: {procedural: 1}
stages:
  - {share: 1.0, width: 320, height: 224, batch: 6, longest: 75}
"""


def load(tmp_path: Path, text: str) -> TrainingConfig:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return TrainingConfig.load(path)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_load_and_share_all_of_the_time(path: Path) -> None:
    config = TrainingConfig.load(path)
    assert sum(stage.share for stage in config.stages) == pytest.approx(1)


def test_what_is_not_said_has_its_usual_value(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL)
    assert config.uses == 1 and config.network.kind == "compact" and config.stages[0].pose == 0


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("seed: 11\n", "", "seed"),
        ("seed: 11", "sed: 11", "sed"),
        ("4.0e-4", "4e-4", r"peak_learning_rate: '4e-4' is not a number; YAML wants 1\.0e-4"),
        ("width: 320", "width: 300", "300x224 is not a multiple of 8"),
        ("batch: 6", "batch: 0", "batch: 0 is less than 1"),
        ("batch: 6", "batch: 1.5", "batch: 1.5 is not a whole number"),
        ("{procedural: 1}", "{}", "must not be empty"),
        ("{procedural: 1}", "{procedural: -1}", "share of procedural"),
        ("seed: 11", "seed: 11\nnetwork: {kind: big}", "'big' is not known; use compact"),
        ("seed: 11", "seed: 11\nnetwork: {widths: [1, 2]}", "five widths"),
        ("seed: 11", "seed: 11\nsamples: {set: 1}", "pictures and samples"),
        ("seed: 11", "{", "recipe.yaml"),
    ],
)
def test_a_broken_recipe_is_named(tmp_path: Path, old: str, new: str, reason: str) -> None:
    with pytest.raises(
        TrainingError,
        match=rf"recipe\.yaml: is not a training recipe.*{reason}" if new != "{" else reason,
    ):
        load(tmp_path, MINIMAL.replace(old, new))


def test_sizes_that_no_network_takes_are_for_sets_alone(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL.replace("height: 224", "height: 216"))
    with pytest.raises(TrainingError, match="320x216 is not a multiple of 32"):
        config.check_trainable()


def test_recipes_are_the_same_after_a_journey_through_a_checkpoint(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL)
    assert TrainingConfig.of(config.entries()) == config
    assert config.differences(config.entries()) == []
    assert config.differences({**config.entries(), "seed": 2}) == ["seed"]


def test_a_shipped_recipe_goes_by_its_name(tmp_path: Path) -> None:
    assert recipe_path(Path("compact")) == SHIPPED / "compact.yaml"
    with pytest.raises(TrainingError, match=r"cmpact: is not a file, .* compact"):
        recipe_path(Path("cmpact"))
    assert recipe_path(tmp_path / "x.yaml") == tmp_path / "x.yaml"


def test_unknown_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cats"):
        load_pictures({"cats": 1.0}, tmp_path)


def test_a_recipe_that_reads_samples_has_no_pictures_to_blur(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no pictures to blur"):
        load_pictures(TrainingConfig.load(SHIPPED / "compact_recordings.yaml").pictures, tmp_path)
