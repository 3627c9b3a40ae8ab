"""Tables are put into the pages of the documents and nothing else of them is touched."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "markdown.py"
BEGIN, END = "<!-- begin -->\n", "<!-- end -->\n"


@pytest.fixture(scope="module")
def markdown() -> ModuleType:
    # By its path: a package of the same name may be installed.
    spec = spec_from_file_location("tables_in_markdown", TOOL)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(f"before\n{BEGIN}old\n{END}after\n")
    return path


def test_what_is_edited_while_one_measures_is_kept(markdown: ModuleType, page: Path) -> None:
    def measure() -> None:
        page.write_text("edited " + page.read_text())
        print("new")

    markdown.write_part(page, BEGIN, END, measure)
    assert page.read_text() == f"edited before\n{BEGIN}\nnew\n\n{END}after\n"


def test_a_page_without_a_place_is_refused_before_anything_is_measured(
    markdown: ModuleType, page: Path
) -> None:
    page.write_text("nothing")
    with pytest.raises(SystemExit, match="page.md: lacks the line <!-- begin -->"):
        markdown.write_part(page, BEGIN, END, lambda: pytest.fail("measured"))
    assert page.read_text() == "nothing"


def test_without_a_page_it_is_printed(
    markdown: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    markdown.write_part(None, BEGIN, END, lambda: print("new"))
    assert capsys.readouterr().out == "new\n"
