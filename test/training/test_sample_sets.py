"""A trainer learns from sets on disk and from real recordings as from what it renders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from safetensors.torch import save_file  # noqa: E402

from blur_imu_ros.errors import RecordingError, TrainingError  # noqa: E402
from blur_imu_training.data.published_csv import write_published  # noqa: E402
from blur_imu_training.data.sample_folder import image_path, write_index, write_sample  # noqa: E402
from blur_imu_training.data.sample_sets import SampleMixture, open_samples  # noqa: E402
from blur_imu_training.recipe import Stage  # noqa: E402
from blur_imu_training.rendering.samples import SampleStream  # noqa: E402
from blur_imu_training.training.checkpoint import TEACHER, load_run  # noqa: E402
from blur_imu_training.training.tasks import build  # noqa: E402
from blur_imu_training.training.trainer import Trainer  # noqa: E402
from helpers.small_training import CONFIG, NETWORK, Ticks, few_pictures  # noqa: E402

STREAM = SampleStream(few_pictures(), 64, 64, 8.0, seed=1)
ONE_STAGE = (Stage(1.0, 64, 64, 2, 8.0, pose=0.1),)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a written set, a published table and a recording with a gyroscope."""
    for index in range(3):
        write_sample(tmp_path / "set", index, STREAM[index])
    write_index(tmp_path / "set", 3)
    write_published(tmp_path / "published" / "train.csv", [STREAM[3], STREAM[4]])
    write_recording(tmp_path / "recording")
    return tmp_path


def write_recording(folder: Path, linear: bool = False) -> None:
    (folder / "frames").mkdir(parents=True)
    for index in range(4):
        image = cv2.resize(STREAM[index].image, (128, 96))
        cv2.imwrite(str(folder / "frames" / f"{index:03d}.png"), image)
    (folder / "camera.yaml").write_text(
        "{image_width: 128, image_height: 96, fx: 110, fy: 110, cx: 63.5, cy: 47.5, exposure_time: "
        "0.01}"
    )
    (folder / "stamps.csv").write_text("t\n0.0\n0.1\n0.2\n0.3\n")
    rows = [
        f"{t:.3f},{t},2.0,-1.0{',0.1,0.2,0.3' if linear else ''}" for t in np.arange(0, 0.31, 0.01)
    ]
    (folder / "velocity.csv").write_text(
        "\n".join(["t,wx,wy,wz" + (",vx,vy,vz" if linear else ""), *rows]) + "\n"
    )


def test_frames_bring_the_mean_of_the_gyroscope(data: Path) -> None:
    samples = open_samples(data / "recording", 64, 64, 0.5)
    # The velocities do not cover the exposures of the first and last frame.
    assert len(samples) == 2
    np.testing.assert_allclose(samples[0].motion.rotation, [0.001, 0.02, -0.01], atol=1e-6)
    tensors = samples[0].tensors(250.0)
    assert tensors["known"].tolist() == [1, 1, 1, 0, 0, 0] and tensors["recorded"] == 1
    write_recording(data / "with odometry", linear=True)
    known = open_samples(data / "with odometry", 64, 64, 0.5)[0]
    assert known.translation_is_known
    np.testing.assert_allclose(known.motion.translation, [0.001, 0.002, 0.003])


def test_damaged_samples_are_left_out_and_listed(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image_path(data / "set", 1).write_bytes(b"")
    samples = open_samples(data / "set", 64, 64, 0.01)
    assert len(samples) == 2 and "1 left out: 000001" in caplog.text


def test_a_sample_that_goes_bad_while_training_is_replaced(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    samples = open_samples(data / "set", 64, 64, 0.01)
    mixture = SampleMixture({"set": (samples, 1.0)}, 64, 64, 0)
    image_path(data / "set", 0).write_bytes(b"")
    assert all(mixture[i].image.shape == (64, 64, 3) for i in range(12))
    assert "set: left out" in caplog.text
    for index in (1, 2):
        image_path(data / "set", index).unlink()
    with pytest.raises(TrainingError, match="no sample can be read any more"):
        mixture[0]


def test_larger_samples_are_cut_to_size_with_their_truth(data: Path) -> None:
    mixture = SampleMixture({"set": (open_samples(data / "set", 64, 64, 0.01), 1.0)}, 32, 48, 0)
    sample = mixture[3]
    assert sample.image.shape == (48, 32, 3) and sample.inverse_depth.shape == (6, 4)
    again = mixture[3]
    np.testing.assert_array_equal(sample.image, again.image)
    whole = open_samples(data / "set", 64, 64, 0.01)
    shifts = {round(s.camera.cx - sample.camera.cx, 6) % 8 for s in (whole[0], whole[1], whole[2])}
    assert 0 in shifts


def test_samples_that_are_too_small_are_refused(data: Path) -> None:
    samples = open_samples(data / "set", 64, 64, 0.01)
    with pytest.raises(TrainingError, match="set: a sample of 64x64 is smaller than the 96x64"):
        SampleMixture({"set": (samples, 1.0)}, 96, 64, 0)


def test_what_is_no_set_is_refused_and_so_is_an_empty_one(data: Path) -> None:
    (data / "nothing").mkdir()
    with pytest.raises(TrainingError, match="nothing: is not a set of samples; expected index"):
        open_samples(data / "nothing", 64, 64, 0.01)
    (data / "recording" / "velocity.csv").write_text("t,wx,wy,wz\n5,0,0,0\n6,0,0,0\n")
    with pytest.raises(RecordingError, match="holds no usable"):
        open_samples(data / "recording", 64, 64, 0.01)


def test_a_training_reads_them(data: Path) -> None:
    shares = {"set": 0.6, "published/train.csv": 0.4}
    config = replace(CONFIG, pictures={}, samples=shares, stages=ONE_STAGE)
    trainer = Trainer(config, data, data / "run", 3 / 60, clock=Ticks())
    trainer.run()
    assert trainer.progress.step == 3


def test_recorded_frames_need_the_network_that_labels_them(data: Path) -> None:
    config = replace(CONFIG, pictures={}, samples={"recording": 1}, stages=ONE_STAGE)
    with pytest.raises(TrainingError, match="pseudo_labels"):
        Trainer(config, data, data / "run", 1, clock=Ticks()).run()
    with pytest.raises(TrainingError, match="give its weights"):
        Trainer(replace(config, pseudo_labels=True), data, data / "run", 1)


def test_fine_tuning_on_a_gyroscope_keeps_what_the_network_said(data: Path) -> None:
    weights = build(NETWORK).state_dict()
    save_file({k: v.contiguous() for k, v in weights.items()}, data / "w.safetensors")
    config = replace(
        CONFIG, pictures={}, samples={"recording": 1}, stages=ONE_STAGE, pseudo_labels=True
    )
    trainer = Trainer(config, data, data / "run", 2 / 60, data / "w.safetensors", Ticks())
    losses = [{k: float(v) for k, v in one.items()} for one in trainer.steps()]
    # In evaluation mode its own labels would cost nothing; batch statistics make them differ a
    # little.
    assert losses[0]["pose"] > 0 and losses[0]["field"] < 2
    trainer.save()
    assert (data / "run" / TEACHER).is_file()
    resumed = Trainer(config, data, data / "run", 3 / 60, clock=Ticks())
    resumed.run()
    assert resumed.progress.step == 3
    assert load_run(data / "run")[1]["recipe"]["samples"] == {"recording": 1}
