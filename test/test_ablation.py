"""Variants of a recipe are trained alike and told side by side."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from rich.console import Console

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from blur_imu_ros.errors import TrainingError  # noqa: E402
from blur_imu_training import selection  # noqa: E402
from small_training import CONFIG, few_pictures, wall_frames  # noqa: E402

TOOLS = Path(__file__).resolve().parents[1] / "tools"


@pytest.fixture(scope="module")
def ablation() -> ModuleType:
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


def test_a_list_that_is_none_is_named(ablation: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("recipe: compact\nvariants: {a: {network: {kind: big}}}")
    with pytest.raises(TrainingError, match=r"x\.yaml: is no list of variants: .*'big'"):
        list(ablation.variants(tmp_path / "x.yaml"))


def test_variants_are_trained_and_told(
    ablation: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blur_imu_training.trainer.load_pictures", few_pictures)
    monkeypatch.setattr(selection, "held_out_frames", wall_frames)
    recipe = {**CONFIG.entries(), "validation": {"frames": 2, "share": 0.0}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(recipe))
    changes = {"whole": None, "no structure": {"network": {"structure_tensor": False}}}
    content = {"recipe": str(tmp_path / "small.yaml"), "variants": changes}
    (tmp_path / "variants.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    outcomes = [
        ablation.outcome(name, config, None, tmp_path / name, 0.001)
        for name, config in ablation.variants(tmp_path / "variants.yaml")
    ]
    assert [one.name for one in outcomes] == ["whole", "no structure"]
    assert all(one.samples > 0 and one.parameters == outcomes[0].parameters for one in outcomes)
    console = Console(record=True, width=120)
    console.print(ablation.table(outcomes))
    text = console.export_text()
    assert all(name in text for name in itertools.chain(changes, ["rotation error"]))
