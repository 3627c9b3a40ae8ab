"""Variants of a recipe are trained alike and told side by side."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from blur_imu_ros.errors import TrainingError  # noqa: E402
from blur_imu_training.training import selection  # noqa: E402
from blur_imu_training.training.tasks import build  # noqa: E402
from helpers.small_training import CONFIG, few_pictures, wall_frames  # noqa: E402

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(scope="module")
def ablation() -> ModuleType:
    sys.path.insert(0, str(TOOLS))
    spec = importlib.util.spec_from_file_location("ablation", TOOLS / "ablation.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules["ablation"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shipped_variants_are_recipes(ablation: ModuleType) -> None:
    found = dict(ablation.variants(TOOLS / "ablation.yaml"))
    assert not found["no structure tensor"].network.structure_tensor
    assert found["no structure tensor"].network.widths == found["as shipped"].network.widths
    assert found["half as wide"].network.widths[0] * 2 == found["as shipped"].network.widths[0]
    assert sum(found["near-sighted"].network.blocks) == sum(found["as shipped"].network.blocks)
    assert len(found) <= 8
    for config in found.values():
        config.check_trainable()


def test_a_list_that_is_none_is_named(ablation: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("recipe: compact\nvariants: {a: {network: {kind: big}}}")
    with pytest.raises(TrainingError, match=r"x\.yaml: is not a list of variants: .*'big'"):
        list(ablation.variants(tmp_path / "x.yaml"))


def test_variants_are_trained_and_told(
    ablation: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("blur_imu_training.training.trainer.load_pictures", few_pictures)
    monkeypatch.setattr(selection, "held_out_frames", wall_frames)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(CONFIG.entries()))
    changes = {"whole": None, "no structure": {"network": {"structure_tensor": False}}}
    content = {"recipe": str(tmp_path / "small.yaml"), "variants": changes}
    (tmp_path / "variants.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    page = tmp_path / "page.md"
    page.write_text(f"before\n{ablation.BEGIN}old\n{ablation.END}after\n")

    def run() -> str:
        ablation.main(
            tmp_path / "variants.yaml", tmp_path / "runs", None, minutes=0.001, frames=2, write=page
        )
        return capsys.readouterr().out

    told = run()
    rows = [line.split(" | ") for line in told.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows] == ["| variant", "| whole", "| no structure"]
    assert (
        rows[1][1:3] == rows[2][1:3]
    )  # parameters and work: the maps are fixed, and cost no products
    assert all(int(row[3]) > 0 for row in rows[1:])
    assert page.read_text() == f"before\n{ablation.BEGIN}\n{told}\n{ablation.END}after\n"
    monkeypatch.setattr(ablation, "Trainer", None)  # what is trained is not trained again
    assert run() == told


def test_every_switch_of_the_variants_changes_the_network(ablation: ModuleType) -> None:
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    outputs = {}
    for name, config in ablation.variants(TOOLS / "ablation.yaml"):
        torch.manual_seed(0)
        network = build(config.network).eval()
        for tensor in network.state_dict().values():
            if tensor.dtype.is_floating_point:
                tensor.add_(0.02)
        outputs[name] = network(image)
    shipped = outputs.pop("as shipped")
    even = outputs.pop("all cells alike")
    assert torch.equal(even.q, shipped.q) and not even.log_sigma.any()
    assert shipped.log_sigma.any()
    del outputs["views of 480x352"]
    for name, found in outputs.items():
        assert not torch.equal(found.q, shipped.q), name
