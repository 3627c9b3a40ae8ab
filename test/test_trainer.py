"""Training starts, is resumed exactly, exports with parity, and refuses what cannot work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from safetensors.torch import save_file  # noqa: E402

from blur_imu_ros.blur_network import load_network  # noqa: E402
from blur_imu_ros.camera import Camera  # noqa: E402
from blur_imu_ros.errors import ModelError, TrainingError  # noqa: E402
from blur_imu_ros.networks.compact import CompactNetwork, CompactOutput  # noqa: E402
from blur_imu_training.export import export_run, load_run  # noqa: E402
from blur_imu_training.losses import field_loss  # noqa: E402
from blur_imu_training.trainer import Stage, Trainer, TrainingConfig  # noqa: E402

CONFIG = TrainingConfig(
    seed=1,
    focal_reference=250.0,
    peak_learning_rate=5e-4,
    weight_decay=0.01,
    ema_decay=0.99,
    pictures={"procedural": 1.0},
    stages=(Stage(1.0, 64, 64, 2, 10.0),),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    Trainer(CONFIG, None, folder, minutes=0.02).run()
    return folder


def test_a_run_leaves_a_state_that_resumes_where_it_was(run: Path) -> None:
    resumed = Trainer(CONFIG, None, run, minutes=0.02)
    _, progress = load_run(run)
    assert resumed.step == progress["step"] > 0
    assert resumed.samples == 2 * resumed.step
    for name, value in resumed.average.state_dict().items():
        torch.testing.assert_close(value, load_run(run)[0].state_dict()[name])
    assert len(resumed.optimizer.state_dict()["state"]) == len(list(resumed.network.parameters()))


def test_a_finished_run_stays_as_it_is(run: Path) -> None:
    before = (run / "state.safetensors").read_bytes()
    Trainer(CONFIG, None, run, minutes=0.02).run()
    resumed = Trainer(CONFIG, None, run, minutes=0.02)
    assert resumed.step == load_run(run)[1]["step"]
    assert len((run / "state.safetensors").read_bytes()) == len(before)


def test_export_gives_a_model_that_equals_torch(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path / "tiny.onnx", "tiny")
    network = load_network(tmp_path / "tiny.onnx")
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
    with pytest.raises(TrainingError, match="learned by heart"):
        Trainer(replace(CONFIG, peak_learning_rate=1e-9), None, tmp_path, minutes=0.01).run()


def test_unknown_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cats"):
        Trainer(replace(CONFIG, pictures={"cats": 1.0}), tmp_path, tmp_path / "run", minutes=0.01)


def test_a_broken_recipe_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("seed: 1\n")
    with pytest.raises(TrainingError, match=r"recipe\.yaml"):
        TrainingConfig.load(path)


def test_the_shipped_recipe_loads_and_the_network_is_small() -> None:
    import blur_imu_training.commands as commands

    assert sum(stage.share for stage in TrainingConfig.load(commands.DEFAULT_RECIPE).stages) == 1
    assert sum(p.numel() for p in CompactNetwork().parameters()) < 4_000_000


def test_the_loss_is_least_at_the_truth_and_blind_to_the_sign_of_motion() -> None:
    q = torch.randn(2, 2, 4, 4) * 10
    depth = torch.randn(2, 1, 4, 4)
    batch = {"q": q, "log_inverse_depth": depth[:, 0], "depth_weight": torch.ones(2)}
    sigma = torch.zeros(2, 2, 4, 4)
    exact = field_loss(CompactOutput(q, depth, sigma), batch)
    assert float(exact["field"]) == 0 and float(exact["depth"]) == 0
    assert float(field_loss(CompactOutput(q * 1.1, depth, sigma), batch)["field"]) > 0


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


def test_training_starts_from_given_weights_and_learns_from_the_solved_velocity(
    tmp_path: Path,
) -> None:
    weights = CompactNetwork().state_dict()
    save_file({k: v.contiguous() for k, v in weights.items()}, tmp_path / "w.safetensors")
    config = replace(CONFIG, stages=(Stage(1.0, 64, 64, 2, 10.0, pose=0.2),))
    trainer = Trainer(config, None, tmp_path / "run", 0.01, tmp_path / "w.safetensors")
    for name, value in trainer.average.state_dict().items():
        torch.testing.assert_close(value, weights[name])
    losses = [one for one, _ in trainer._steps()]
    assert all(np.isfinite(one["pose"]) and one["pose"] > 0 for one in losses)
