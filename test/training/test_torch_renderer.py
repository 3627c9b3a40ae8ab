"""Rendering many samples at once on any device gives what rendering one by one on the CPU gives."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from torch import Tensor  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from blur_imu_training.data.loading import BatchNumbers, batches  # noqa: E402
from blur_imu_training.isp import torch_isp  # noqa: E402
from blur_imu_training.isp.numpy_isp import apply_isp, linear_light  # noqa: E402
from blur_imu_training.isp.parameters import (  # noqa: E402
    Compression,
    Denoising,
    IspParameters,
    LocalContrast,
    Resampling,
    Sharpening,
    Smoothing,
    Stage,
    Tint,
    VideoCoding,
    random_camera,
)
from blur_imu_training.packing import Packed  # noqa: E402
from blur_imu_training.recipe import TrainingConfig  # noqa: E402
from blur_imu_training.rendering.numpy_renderer import SharpView, mean_over_exposure  # noqa: E402
from blur_imu_training.rendering.samples import SampleStream, rendered, with_truth  # noqa: E402
from blur_imu_training.rendering.shots import Shot  # noqa: E402
from blur_imu_training.rendering.torch_renderer import exposures_of, mean_light, rendered_on  # noqa: E402
from blur_imu_training.scene.procedural import dead_leaves  # noqa: E402
from blur_imu_training.training import tasks  # noqa: E402
from blur_imu_training.training import trainer as trainer_module  # noqa: E402
from helpers.small_training import CONFIG, Ticks, few_pictures  # noqa: E402

CPU = torch.device("cpu")
STREAM = SampleStream(few_pictures(), 48, 32, 12.0, seed=5)


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    drawn = [STREAM.shot(index) for index in range(24)]
    assert {shot.view.window.width for shot in drawn} == {48, 72, 96}
    assert any(shot.shutter.skew for shot in drawn) and any(not s.shutter.skew for s in drawn)
    return drawn


def quiet(shot: Shot) -> Shot:
    """Leave out noise, which each device draws in its own way, and rounding, which makes more of
    the least."""
    return replace(shot, camera=replace(shot.camera, noise=0.0, video=None, compressions=()))


def test_the_light_of_an_exposure_is_that_of_the_cpu(shots: list[Shot]) -> None:
    for exposures in exposures_of(shots):
        found = mean_light(exposures).permute(0, 2, 3, 1).numpy()
        for row, place in enumerate(exposures.places.tolist()):
            shot = shots[place]
            view = shot.view
            sharp = SharpView(linear_light(view.image, view.light), view.inverse_depth, view.camera)
            expected = mean_over_exposure(
                sharp, shot.motion, view.window, view.left, view.top, shot.step, shot.shutter.skew
            )
            assert np.abs(found[row] - expected).mean() < 1e-3 * expected.mean()


def test_many_subframes_are_calculated_part_by_part(
    shots: list[Shot], monkeypatch: pytest.MonkeyPatch
) -> None:
    exposures = exposures_of(shots)[0]
    whole = mean_light(exposures)
    monkeypatch.setattr(
        "blur_imu_training.rendering.torch_renderer.MOST_PIXELS", {"cpu": 5 * 96 * 64}
    )
    torch.testing.assert_close(mean_light(exposures), whole, atol=1e-5, rtol=1e-4)


def test_pictures_are_those_of_the_cpu_in_the_order_of_the_shots(shots: list[Shot]) -> None:
    still = [quiet(shot) for shot in shots]
    found = rendered_on(exposures_of(still)).permute(0, 2, 3, 1).numpy()
    for shot, picture in zip(still, found, strict=True):
        apart = np.abs(picture.astype(float) - rendered(shot).image)
        assert apart.mean() < 1.0, shot.camera


def plain(**choices: object) -> IspParameters:
    """A camera that does nothing but what is chosen."""
    nothing = {
        "softness": 0.0, "defocus": 0.0, "glare": 0.0, "vignette": 0.0, "noise": 0.0, "grain": 0.0,
        "balance": (1.0, 1.0, 1.0), "mosaic": False, "raw_denoising": None, "gamma": 2.0, "tone_curve": 0.0,
        "local_contrast": None, "stages": (), "video": None, "compressions": (), "grey": False,
    }  # fmt: skip
    return replace(random_camera(np.random.default_rng(0)), **{**nothing, **choices})


def one(stage: Stage) -> IspParameters:
    return plain(stages=(stage,))


CAMERAS = {
    "nothing": plain(),
    "a soft lens": plain(softness=0.9),
    "defocus": plain(defocus=2.3),
    "glare": plain(glare=0.15, glare_reach=14.0),
    "vignetting": plain(vignette=0.5, vignette_centre=(0.4, -0.7)),
    "white balance": plain(balance=(0.8, 1.1, 1.3)),
    "a mosaic": plain(mosaic=True),
    "raw denoising": plain(raw_denoising=Denoising(Smoothing.SOFTENING, 0.7)),
    "a curved tone curve": plain(gamma=2.5, tone_curve=0.7),
    "local contrast": plain(local_contrast=LocalContrast(18.0, 0.8, 1.5, 0.1)),
    "edge-keeping": one(Denoising(Smoothing.EDGE_KEEPING, 2.0, tolerance=0.1)),
    "median": one(Denoising(Smoothing.MEDIAN, blend=0.8)),
    "smooth colours": one(Denoising(Smoothing.COLOUR, 2.5)),
    "sharpening": one(Sharpening(1.4, 1.5)),
    "resampling": one(Resampling(0.7, cv2.INTER_AREA, cv2.INTER_CUBIC)),
    "sharp, then smaller": plain(
        stages=(Sharpening(1.0, 0.8), Resampling(0.8, cv2.INTER_LINEAR, cv2.INTER_LANCZOS4))
    ),
    "smaller, then sharp": plain(
        stages=(Resampling(0.8, cv2.INTER_LINEAR, cv2.INTER_LANCZOS4), Sharpening(1.0, 0.8))
    ),
    "tint": one(Tint(1.5, 0.9, 0.05, np.full((3, 4, 3), 0.02, np.float32))),
    "JPEG": plain(compressions=(Compression(40, False),)),
    "JPEG at half the colours": plain(compressions=(Compression(60, True),)),
    "JPEG twice": plain(compressions=(Compression(70, True), Compression(90, False))),
    "a video": plain(video=VideoCoding(34.0, 8)),
    "a video of small blocks": plain(video=VideoCoding(26.0, 4)),
    "grey": plain(grey=True),
}


def radiance(height: int = 64, width: int = 96) -> np.ndarray:
    light = dead_leaves(height, width, np.random.default_rng(2)).astype(np.float32) / 255
    return np.asarray(cv2.GaussianBlur(light, (0, 0), 1.0), np.float32)


@pytest.mark.parametrize("name", CAMERAS)
def test_each_stage_of_a_camera_does_what_it_does_on_the_cpu(name: str) -> None:
    """Beside pictures of all other cameras, so that each must reach its own alone."""
    light = radiance()
    batch = torch.from_numpy(light).permute(2, 0, 1).expand(len(CAMERAS), 3, 64, 96)
    found = torch_isp.apply_isp(batch, list(CAMERAS.values()))
    picture = found[list(CAMERAS).index(name)].permute(1, 2, 0).numpy()
    expected = apply_isp(light, CAMERAS[name]).astype(float)
    # Where something lies between two multiples, the least decides which one it becomes.
    is_coded = CAMERAS[name].compressions or CAMERAS[name].video
    assert np.abs(picture - expected).mean() < (1.0 if is_coded else 0.1)
    if name != "nothing":
        untouched = apply_isp(light, CAMERAS["nothing"]).astype(float)
        assert np.abs(expected - untouched).mean() > 0.3


def test_noise_is_as_strong_as_on_the_cpu_and_the_same_every_time() -> None:
    camera = plain(noise=1.0, read=0.01, shot=1e-3, grain=0.8)
    light = np.full((64, 96, 3), 0.2, np.float32)
    batch = torch.from_numpy(light).permute(2, 0, 1)[None].expand(2, 3, 64, 96)
    seeds = [camera, replace(camera, seed=camera.seed + 1)]
    found = torch_isp.apply_isp(batch, seeds)
    assert float(found[0].std()) == pytest.approx(apply_isp(light, camera).std(), rel=0.1)
    assert not torch.equal(found[0], found[1])
    assert torch.equal(found[1], torch_isp.apply_isp(batch[:1], seeds[1:])[0])


def test_batches_rendered_where_they_are_trained_on_are_those_of_the_stream() -> None:
    batch = next(batches(STREAM, BatchNumbers(5, 4), 250.0, CPU, "device"))
    assert batch["image"].dtype == torch.uint8 and batch["image"].shape == (4, 3, 32, 48)
    for row in range(4):
        expected = STREAM[5 + row].tensors(250.0)
        assert set(batch) == set(expected)
        for name in set(expected) - {"image"}:
            np.testing.assert_array_equal(batch[name][row], expected[name])
        apart = np.abs(batch["image"][row].numpy().astype(float) - expected["image"])
        assert apart.mean() < 12  # but for the noise


def test_sets_on_disk_are_read_as_ever_wherever_one_renders() -> None:
    class Written:
        def __getitem__(self, index: int) -> object:
            return STREAM[index]

    batch = next(batches(Written(), BatchNumbers(0, 2), 250.0, CPU, "device"))
    np.testing.assert_array_equal(batch["image"][1], STREAM[1].tensors(250.0)["image"])


def test_a_training_that_renders_on_its_device_can_be_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "load_pictures", few_pictures)
    config = replace(CONFIG, rendering="device")

    def weights(folder: Path, sittings: Sequence[int]) -> dict[str, Tensor]:
        for steps in sittings:
            run = trainer_module.Trainer(config, None, folder, 10 / 60, clock=Ticks())
            list(itertools.islice(run.steps(), steps))
            run.save()
        return run.model.network.state_dict()

    whole, parts = weights(tmp_path / "a", [4]), weights(tmp_path / "b", [1, 3])
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


def test_an_unknown_place_to_render_is_refused() -> None:
    with pytest.raises(ValueError, match="rendering: 'cloud' is none of auto, workers, device"):
        TrainingConfig.of({**CONFIG.entries(), "rendering": "cloud"})


# --- a GPU that is only claimed: torch tells shapes and devices, and refuses to mix the latter
# --------


@pytest.fixture
def claimed_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[], FakeTensorMode]:
    # Generators of a GPU cannot be had without one.
    monkeypatch.setattr(torch_isp, "standard_normal", lambda like, seeds: torch.randn_like(like))
    return lambda: FakeTensorMode(allow_non_fake_inputs=True)


def test_all_of_the_rendering_is_done_on_the_gpu(
    shots: list[Shot], claimed_gpu: Callable[[], FakeTensorMode]
) -> None:
    cameras = itertools.cycle(CAMERAS.values())
    exposures = exposures_of([replace(shot, camera=next(cameras)) for shot in shots])
    gpu = torch.device("lazy", 0)
    with claimed_gpu():
        pictures = rendered_on(Packed.of(exposures).on(gpu))
    assert pictures.device == gpu and pictures.shape == (len(shots), 3, 32, 48)


def test_a_claimed_gpu_does_not_take_what_lies_on_the_cpu(
    shots: list[Shot], claimed_gpu: Callable[[], FakeTensorMode]
) -> None:
    exposures = exposures_of(shots)[0]
    with claimed_gpu(), pytest.raises(RuntimeError, match="lazy"):
        there = Packed.of(exposures).on(torch.device("lazy", 0))
        mean_light(replace(there, rays=exposures.rays))


@pytest.mark.parametrize("kind", ["compact", "published"])
def test_losses_stay_on_the_gpu(
    kind: str, shots: list[Shot], claimed_gpu: Callable[[], FakeTensorMode]
) -> None:
    truth = [with_truth(s, np.zeros((32, 48, 3), np.uint8)).tensors(250.0) for s in shots[:2]]
    batch = torch.utils.data.default_collate(truth)
    task = tasks.TASKS[kind]
    with claimed_gpu():
        there = {name: value.to("lazy") for name, value in batch.items()}
        n, rows, columns = 2, 4, 6
        if kind == "compact":
            parts = [torch.rand(n, c, rows, columns, device="lazy") for c in (2, 1, 2)]
            losses = task.losses(tasks.CompactOutput(*parts), there, 0.0)
        else:
            parts = [torch.rand(n, c, 32, 48, device="lazy") for c in (2, 1)]
            losses = task.losses(tasks.PublishedOutput(*parts), there, 1.0)
        assert {value.device.type for value in losses.values()} == {"lazy"}
