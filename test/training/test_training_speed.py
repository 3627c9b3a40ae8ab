"""How fast renderer and trainer are is measured with one command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from helpers.small_training import CONFIG, few_pictures

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def test_a_table_tells_what_is_rendered_and_learned_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    import training_speed

    monkeypatch.setattr(training_speed, "load_pictures", few_pictures)
    recipe, page = tmp_path / "small.yaml", tmp_path / "page.md"
    recipe.write_text(
        yaml.safe_dump({**CONFIG.entries(), "stages": CONFIG.entries()["stages"][:1]})
    )
    page.write_text(f"before\n{training_speed.BEGIN}old\n{training_speed.END}after\n")
    training_speed.main(recipe, None, seconds=0.1, write=page)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    cells = [line for line in text.splitlines() if line.startswith("| 64x32, 2 |")][0].split("|")[
        2:-1
    ]
    assert len(cells) == 7 and all(float(cell) > 0 for cell in cells)
    sys.modules.pop("training_speed")
