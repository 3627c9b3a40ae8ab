"""Training starts, is resumed exactly, exports with parity, and refuses what cannot work."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from accelerate import Accelerator  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch.utils.data import default_collate  # noqa: E402

from blur_imu_ros.core.camera import Camera  # noqa: E402
from blur_imu_ros.errors import ModelError, TrainingError  # noqa: E402
from blur_imu_ros.network.architectures.compact import CompactNetwork, CompactOutput  # noqa: E402
from blur_imu_ros.network.architectures.published import PublishedOutput  # noqa: E402
from blur_imu_ros.network.blur_network import load_network  # noqa: E402
from blur_imu_training.export.export import TERMS, export_run  # noqa: E402
from blur_imu_training.recipe import NetworkChoice, Stage, TrainingConfig  # noqa: E402
from blur_imu_training.rendering.samples import SampleStream  # noqa: E402
from blur_imu_training.training.checkpoint import (  # noqa: E402
    STATE,
    load_run,
    read_tensors,
    write_tensors,
)
from blur_imu_training.training.ema_model import EmaModel  # noqa: E402
from blur_imu_training.training.losses import field_loss  # noqa: E402
from blur_imu_training.training.tasks import TASKS  # noqa: E402
from blur_imu_training.training.trainer import CPU_BFLOAT16, Trainer, accelerated  # noqa: E402
from helpers.small_training import CONFIG, NETWORK, Ticks, few_pictures  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blur_imu_training.training.trainer.load_pictures", few_pictures)
        yield


def trained(folder: Path, steps: int = 8, config: TrainingConfig = CONFIG) -> Trainer:
    """Train from the beginning to the end, of a clock that counts steps."""
    trainer = Trainer(config, None, folder, steps / 60, clock=Ticks())
    trainer.run()
    return trainer


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    trained(folder)
    return folder


def test_a_run_leaves_a_state_that_resumes_where_it_was(run: Path) -> None:
    resumed = Trainer(CONFIG, None, run, 8 / 60)
    network, facts = load_run(run)
    assert resumed.progress.step == facts["step"] == 8
    assert resumed.progress.samples == 16
    for name, value in resumed.model.average.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name])
    moments = [name for name in resumed.model.tensors() if name.endswith(".exp_avg_sq")]
    assert len(moments) == len(list(resumed.model.network.parameters()))


def test_a_finished_run_stays_as_it_is(run: Path) -> None:
    before, told = read_tensors(run / STATE)
    Trainer(CONFIG, None, run, 8 / 60, clock=Ticks()).run()
    after, told_after = read_tensors(run / STATE)
    assert told_after == told
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("cut", [3, 6], ids=["first stage", "second stage"])
def test_a_run_that_was_interrupted_ends_as_one_that_was_not(
    run: Path, tmp_path: Path, cut: int
) -> None:
    first = Trainer(CONFIG, None, tmp_path, 8 / 60, clock=Ticks())
    for _ in first.steps():
        if first.progress.step == cut:
            first.stop()
    first.save()
    second = Trainer(CONFIG, None, tmp_path, 8 / 60, clock=Ticks())
    assert second.progress.step == cut
    second.run()
    whole, _ = read_tensors(run / STATE)
    resumed, _ = read_tensors(tmp_path / STATE)
    assert whole.keys() == resumed.keys()
    different = [name for name in whole if not torch.equal(whole[name], resumed[name])]
    assert different == []


def test_another_seed_ends_elsewhere(run: Path, tmp_path: Path) -> None:
    """What the test above compares does depend on the samples."""
    other = trained(tmp_path, config=replace(CONFIG, seed=2)).model.average.state_dict()
    network = load_run(run)[0].state_dict()
    assert any(not torch.equal(network[name], other[name]) for name in network)


def test_a_full_disk_keeps_the_last_state_and_training_goes_on(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(run / STATE, tmp_path)
    before = (tmp_path / STATE).read_bytes()
    monkeypatch.setattr("blur_imu_training.training.trainer.SAVE_EVERY", 0.0)
    trainer = Trainer(CONFIG, None, tmp_path, 11 / 60, clock=Ticks())
    save = trainer.save

    def save_on_a_full_disk() -> None:
        with files_no_larger_than(1000):
            save()

    monkeypatch.setattr(trainer, "save", save_on_a_full_disk)
    with pytest.raises(TrainingError, match="is the disk full"):
        trainer.run()
    assert trainer.progress.step == 11
    assert "training continues" in caplog.text
    assert (tmp_path / STATE).read_bytes() == before
    assert list(tmp_path.glob("*.partial")) == []


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_state_of_another_network_is_refused_by_the_recipe(run: Path) -> None:
    other = replace(CONFIG, network=replace(NETWORK, head_blocks=2))
    with pytest.raises(TrainingError, match=r"started with another network"):
        Trainer(other, None, run, 1)


def test_a_state_that_does_not_fit_its_recipe_is_refused_by_its_first_tensor(
    run: Path, tmp_path: Path
) -> None:
    tensors, facts = read_tensors(run / STATE)
    facts["recipe"]["network"]["head_blocks"] = 2
    write_tensors(tmp_path / STATE, tensors, facts)
    name = r"'head\.1\.first\.0\.weight' is none there and \[16, 16, 3, 3\] here"
    with pytest.raises(TrainingError, match=name):
        load_run(tmp_path)
    with pytest.raises(TrainingError, match=name):
        Trainer(replace(CONFIG, network=replace(NETWORK, head_blocks=2)), None, tmp_path, 1)


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / STATE).write_bytes(b"no tensors")
    with pytest.raises(TrainingError, match=r"state\.safetensors: cannot be read"):
        Trainer(CONFIG, None, tmp_path, 1)


def test_what_changed_in_the_recipe_is_said(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    Trainer(replace(CONFIG, peak_learning_rate=1e-4), None, run, 8 / 60)
    assert "continues with another peak_learning_rate" in caplog.text


def test_other_stages_begin_with_samples_not_seen_before(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / STATE, tmp_path)
    config = replace(CONFIG, stages=(Stage(1.0, 64, 64, 3, 10.0),))
    trainer = Trainer(config, None, tmp_path, 10 / 60, clock=Ticks())
    # Eight batches of two were trained on, each twice.
    assert (trainer.progress.stage, trainer.progress.first) == (0, 8)
    trainer.run()
    assert trainer.progress.step == 10 and trainer.progress.samples == 16 + 2 * 3


def test_states_from_before_the_pool_was_kept_are_gone_on_with(run: Path, tmp_path: Path) -> None:
    tensors, facts = read_tensors(run / STATE)
    old = {name: facts["progress"][name] for name in ("step", "samples", "elapsed")}
    recipe = {k: v for k, v in facts["recipe"].items() if k != "validation"}
    del tensors["random.torch"]
    write_tensors(tmp_path / STATE, tensors, {"progress": old, "recipe": recipe})
    trainer = Trainer(CONFIG, None, tmp_path, 10 / 60, clock=Ticks())
    assert trainer.progress.first == 8
    trainer.run()
    assert trainer.progress.step == 10


def test_losses_that_are_no_numbers_end_the_run_and_are_not_saved(tmp_path: Path) -> None:
    trainer = Trainer(CONFIG, None, tmp_path, 8 / 60, clock=Ticks())
    with torch.no_grad():
        for value in trainer.model.network.parameters():
            value.fill_(torch.nan)
    trainer.progress.step = 1
    with pytest.raises(TrainingError, match="no longer finite"):
        trainer.run()
    assert not (tmp_path / STATE).exists()


def test_export_gives_a_model_that_equals_torch(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path / "tiny.onnx", "tiny")
    network = load_network(tmp_path / "tiny.onnx")
    # What was drawn from, not what the recipe would have drawn from in a data folder.
    assert network.card.training["data"] == [TERMS["procedural"], TERMS["rooms"]]
    image = np.random.default_rng(0).integers(0, 256, (224, 320, 3), dtype=np.uint8)
    camera = Camera(320, 224, 300, 300, 160, 112)
    field = network.predict(image, camera)
    assert field.q.shape == (28, 40, 2) and np.isfinite(field.q).all()
    with torch.inference_mode():
        expected = load_run(run)[0](torch.from_numpy(network.prepared(image)))
    np.testing.assert_allclose(np.moveaxis(field.q, -1, 0), expected.q[0].numpy(), atol=1e-3)
    # Twice the focal length: the same picture is of things twice as far away.
    far = network.predict(image, Camera(320, 224, 600, 600, 160, 112))
    np.testing.assert_allclose(far.inverse_depth, field.inverse_depth / 2)


def test_a_model_that_was_changed_is_refused(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    export_run(run, path, "tiny")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="hash"):
        load_network(path)


def test_export_without_a_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no training run"):
        export_run(tmp_path, tmp_path / "x.onnx", "x")


def test_a_recipe_that_cannot_learn_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="overfitted"):
        Trainer(replace(CONFIG, peak_learning_rate=1e-9), None, tmp_path, minutes=0.01).run()


def test_the_loss_is_least_at_the_truth_and_blind_to_the_sign_of_motion() -> None:
    q = torch.randn(2, 2, 4, 4) * 10
    depth = torch.randn(2, 1, 4, 4)
    batch = {"q": q, "log_inverse_depth": depth[:, 0], "depth_weight": torch.ones(2)}
    sigma = torch.zeros(2, 2, 4, 4)
    exact = field_loss(CompactOutput(q, depth, sigma), batch)
    assert float(exact["field"]) == 0 and float(exact["depth"]) == 0
    assert float(field_loss(CompactOutput(q * 1.1, depth, sigma), batch)["field"]) > 0


def test_lengths_wrong_in_all_of_an_image_cost_more_than_lengths_wrong_here_and_there() -> None:
    q, depth = torch.full((1, 2, 4, 4), 10.0), torch.zeros(1, 1, 4, 4)
    batch = {"q": q, "log_inverse_depth": depth[:, 0], "depth_weight": torch.ones(1)}
    here_and_there = torch.tensor([0.7, 1.3]).repeat(8).reshape(1, 1, 4, 4)

    def losses(factor: float | torch.Tensor) -> dict[str, torch.Tensor]:
        return field_loss(CompactOutput(q * factor, depth, torch.zeros(1, 2, 4, 4)), batch)

    assert float(losses(0.7)["field"]) == pytest.approx(float(losses(here_and_there)["field"]))
    assert float(losses(here_and_there)["length"]) < 1e-3
    assert float(losses(0.7)["length"]) == pytest.approx(-np.log(0.7), abs=0.03)
    assert float(losses(0.7)["length"]) == pytest.approx(float(losses(1 / 0.7)["length"]), abs=0.03)


def test_depth_is_not_learned_from_invented_geometry() -> None:
    q, depth = torch.zeros(1, 2, 4, 4), torch.full((1, 1, 4, 4), 3.0, requires_grad=True)
    batch = {"q": q, "log_inverse_depth": torch.zeros(1, 4, 4), "depth_weight": torch.zeros(1)}
    field_loss(CompactOutput(q, depth, torch.zeros(1, 2, 4, 4)), batch)["total"].backward()
    assert float(depth.grad.abs().sum()) == 0


def test_weights_of_another_architecture_are_refused_by_the_first_tensor(tmp_path: Path) -> None:
    weights = CompactNetwork(widths=(16, 40, 80, 144, 192)).state_dict()
    save_file({k: v.contiguous() for k, v in weights.items()}, tmp_path / "other.safetensors")
    with pytest.raises(TrainingError, match=r"'stem\.0\.0\.weight' is \[16, 3, 3, 3\] there"):
        Trainer(CONFIG, None, tmp_path / "run", 1, tmp_path / "other.safetensors")


def test_a_run_that_saved_nothing_yet_has_no_weights_to_start_from(tmp_path: Path) -> None:
    (tmp_path / "begun").mkdir()
    with pytest.raises(TrainingError, match=r"begun: holds no state of a training run"):
        Trainer(CONFIG, None, tmp_path / "run", 1, tmp_path / "begun")


@pytest.mark.parametrize(
    ("instructions", "precision"),
    [((), "no"), (("avx512_bf16",), "bf16"), (("amx_tile",), "bf16")],
)
def test_cpus_train_in_bfloat16_only_where_they_have_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, instructions: tuple[str, ...], precision: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    for name in CPU_BFLOAT16:
        monkeypatch.setattr(f"torch.cpu._is_{name}_supported", lambda n=name: n in instructions)
    chosen: dict[str, str] = {}
    monkeypatch.setattr(
        "blur_imu_training.training.trainer.Accelerator", lambda **settings: chosen.update(settings)
    )
    accelerated()
    assert chosen == {"mixed_precision": precision}


def test_training_starts_from_the_weights_of_another_run(run: Path, tmp_path: Path) -> None:
    trainer = Trainer(CONFIG, None, tmp_path, 2 / 60, run, Ticks())
    expected = load_run(run)[0].state_dict()
    for name, value in trainer.model.average.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    trainer.run()
    assert trainer.progress.step == 2


def test_the_solved_velocity_is_learned_from(tmp_path: Path) -> None:
    config = replace(CONFIG, stages=(Stage(1.0, 64, 64, 2, 10.0, pose=0.2),))
    trainer = Trainer(config, None, tmp_path, 3 / 60, clock=Ticks())
    losses = [float(one["pose"]) for one in trainer.steps()]
    assert len(losses) == 3 and all(np.isfinite(one) and one > 0 for one in losses)


class FewLayers(torch.nn.Module):
    """Speaks like the published network."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, image: torch.Tensor) -> PublishedOutput:
        out = self.layer(image)
        return PublishedOutput(out[:, :2], torch.exp(out[:, 2:]))


def test_the_published_network_is_trained_on_its_own_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = replace(TASKS["published"], build=lambda _: FewLayers())
    monkeypatch.setitem(TASKS, "published", task)
    config = replace(
        CONFIG, network=NetworkChoice("published"), stages=(Stage(1.0, 64, 64, 2, 8.0, 1e3),)
    )
    trainer = Trainer(config, None, tmp_path, 3 / 60, clock=Ticks())
    assert all({"flow", "depth", "pose"} < losses.keys() for losses in trainer.steps())
    trainer.save()
    network, facts = load_run(tmp_path)
    assert isinstance(network, FewLayers) and facts["step"] == 3
    assert task.card("x", 250.8, {}).flow_sigma > 0


def test_the_log_tells_the_losses(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {"minutes", "samples", "stage", "total", "field", "length", "depth", "doubt"} <= rows[
        -1
    ].keys()
    assert rows[0]["samples"] == 16


def test_a_batch_in_parts_teaches_what_the_whole_of_it_teaches(tmp_path: Path) -> None:
    stage = Stage(1.0, 64, 32, 6, 8.0, pose=0.1)
    samples = SampleStream(few_pictures(), 64, 32, 8.0, seed=2)
    batch = default_collate([samples[i].tensors(250.0) for i in range(6)])
    batch["image"] = batch["image"][:1].expand(6, -1, -1, -1)  # or each part has its own statistics
    gradients, totals = [], []
    for parts in (1, 3, 4):
        torch.manual_seed(0)
        model = EmaModel(CONFIG, Accelerator(cpu=True), tmp_path, None)
        totals.append(model.learn(batch, replace(stage, parts=parts), 1e-3, 0)["total"])
        gradients.append(torch.cat([p.grad.flatten() for p in model.network.parameters()]))
    whole = gradients[0]
    for gradient, total in zip(gradients[1:], totals[1:], strict=True):
        assert float(total) == pytest.approx(float(totals[0]), rel=2e-2)
        # Not closer, because where the CPU can, it calculates in bfloat16.
        assert float((gradient - whole).norm()) < 0.1 * float(whole.norm())
