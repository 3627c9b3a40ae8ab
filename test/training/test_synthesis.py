"""Sets of samples on disk: the same however they are made, resumable, and read back as they
were."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from blur_imu_ros.errors import RecordingError, TrainingError
from blur_imu_ros.recordings.csv_tables import CsvTable
from blur_imu_training.commands import app
from blur_imu_training.data import synthesis
from blur_imu_training.data.sample_folder import SampleFolder, image_path, truth_path
from blur_imu_training.recipe import Stage, TrainingConfig
from blur_imu_training.rendering.contact_sheet import contact_sheet, drawn, read_real_frames
from blur_imu_training.rendering.samples import SampleStream
from blur_imu_training.scene.sharp_images import ProceduralPictures, WeightedMixture

PROCEDURAL = WeightedMixture([(ProceduralPictures(), 1.0)])
CONFIG = TrainingConfig(
    1, 250.0, 1e-3, 0.0, 0.9, (Stage(1.0, 64, 48, 2, 12.0),), {"procedural": 1.0}
)


@pytest.fixture(autouse=True)
def only_procedural(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesis, "load_pictures", lambda shares, data: PROCEDURAL)


def made(folder: Path, count: int = 5, seed: int = 3, jobs: int = 1) -> list[int]:
    return list(synthesis.synthesize(CONFIG, None, folder, count, seed, jobs))


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_same_bytes_with_any_number_of_jobs(tmp_path: Path) -> None:
    assert made(tmp_path / "one", jobs=1)[-1] == 5
    assert made(tmp_path / "three", jobs=3)[-1] == 5
    assert content(tmp_path / "one") == content(tmp_path / "three")
    made(tmp_path / "other", seed=4)
    assert content(tmp_path / "one") != content(tmp_path / "other")


def test_a_run_that_was_cut_off_is_completed(tmp_path: Path) -> None:
    made(tmp_path / "whole")
    run = synthesis.synthesize(CONFIG, None, tmp_path / "cut", 5, 3, 1)
    assert [next(run), next(run), next(run)] == [0, 1, 2]
    run.close()
    assert made(tmp_path / "cut") == [2, 3, 4, 5]
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_samples_are_read_back_as_they_were(tmp_path: Path) -> None:
    made(tmp_path)
    stream = SampleStream(PROCEDURAL, 64, 48, 12.0, seed=3)
    folder = SampleFolder(tmp_path)
    assert len(folder) == 5 and folder.skipped == []
    for index in range(5):
        before, after = stream[index].tensors(250.0), folder[index].tensors(250.0)
        assert before.keys() == after.keys()
        for name in before:
            np.testing.assert_array_equal(before[name], after[name])
        assert folder[index].shutter == stream[index].shutter
    table = CsvTable(tmp_path / "index.csv")
    lengths = [np.hypot(*stream[i].field.transpose(2, 0, 1)).mean() for i in range(5)]
    np.testing.assert_allclose(table.column("blur_px"), lengths, rtol=1e-5)


def test_unpaired_and_damaged_samples_are_listed_and_skipped(tmp_path: Path) -> None:
    made(tmp_path)
    image_path(tmp_path, 1).unlink()
    truth_path(tmp_path, 2).write_bytes(b"no truth")
    image_path(tmp_path, 4).write_bytes(b"no image")
    folder = SampleFolder(tmp_path)
    assert len(folder) == 2 and folder.skipped == ["000001", "000002", "000004"]


def test_a_set_without_usable_samples_is_refused(tmp_path: Path) -> None:
    made(tmp_path, count=1)
    image_path(tmp_path, 0).unlink()
    with pytest.raises(RecordingError, match="no usable samples"):
        SampleFolder(tmp_path)
    with pytest.raises(RecordingError, match=r"index\.csv: cannot be read"):
        SampleFolder(tmp_path / "nowhere")


def test_a_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    made(tmp_path, count=1)
    with pytest.raises(TrainingError, match="other settings"):
        made(tmp_path, count=1, seed=9)
    with pytest.raises(TrainingError, match="at least 1"):
        made(tmp_path / "new", count=0)


@pytest.mark.parametrize("begun", [synthesis.RENDERER - 1, None])
def test_a_set_of_an_earlier_renderer_is_not_completed(tmp_path: Path, begun: int | None) -> None:
    made(tmp_path, count=1)
    settings = json.loads((tmp_path / "set.json").read_text())
    del settings["renderer"]
    earlier = settings if begun is None else settings | {"renderer": begun}
    (tmp_path / "set.json").write_text(json.dumps(earlier))
    before = content(tmp_path)
    with pytest.raises(TrainingError, match="another version's renderer"):
        made(tmp_path, count=2)
    assert content(tmp_path) == before


@pytest.mark.parametrize("text", ["no json", "7"])
def test_damaged_settings_of_a_set_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "set.json").write_text(text)
    with pytest.raises(RecordingError, match=r"set\.json: cannot be used"):
        made(tmp_path, count=1)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordingError, match="file"):
        made(tmp_path / "file" / "set")


def test_the_contact_sheet_shows_samples_their_truth_and_real_frames() -> None:
    samples = [SampleStream(PROCEDURAL, 64, 48, 12.0, seed=3)[i] for i in range(3)]
    real = [np.full((300, 500, 3), 77, np.uint8)]
    sheet = contact_sheet(samples, 2, real)
    assert sheet.shape == (5 * 52, 2 * 68, 3)
    np.testing.assert_array_equal(sheet[:48, :64], samples[0].image)
    np.testing.assert_array_equal(sheet[52:100, :64], drawn(samples[0]))
    assert not np.array_equal(drawn(samples[0]), samples[0].image)
    assert (sheet[4 * 52 : 4 * 52 + 48, :64] == 77).all()


def test_real_frames_are_spread_over_the_folder(tmp_path: Path) -> None:
    for level in range(10):
        cv2.imwrite(str(tmp_path / f"{level}.png"), np.full((8, 8, 3), level, np.uint8))
    assert [int(image[0, 0, 0]) for image in read_real_frames(tmp_path, 4)] == [0, 3, 6, 9]
    with pytest.raises(RecordingError, match="not a folder"):
        read_real_frames(tmp_path / "nowhere", 4)


def test_both_commands_run(tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(
        "{seed: 1, focal_reference: 250.0, peak_learning_rate: 1.0e-3, weight_decay: 0.0, "
        "ema_decay: 0.9, pictures: {procedural: 1.0}, "
        "stages: [{share: 1.0, width: 64, height: 48, batch: 2, longest: 12}]}"
    )
    options = ["--recipe", str(recipe)]
    made_set = CliRunner().invoke(
        app, ["synthesize", str(tmp_path / "set"), "--count", "2", "--jobs", "1", *options]
    )
    assert made_set.exit_code == 0 and len(SampleFolder(tmp_path / "set")) == 2
    sheet = CliRunner().invoke(
        app, ["contact-sheet", str(tmp_path / "sheet.png"), "--samples", "2", *options]
    )
    assert sheet.exit_code == 0 and cv2.imread(str(tmp_path / "sheet.png")) is not None
