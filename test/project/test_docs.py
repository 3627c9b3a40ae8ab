"""The documentation builds, is current, and says what is true."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import cv2
import pytest
import typer

from blur_imu_ros.cli.application import app
from blur_imu_ros.core.series import VELOCITIES
from blur_imu_ros.network.model_card import ModelCard
from blur_imu_ros.results.csv_files import columns_of
from helpers.command_line import Oracle, needs_model, turning_images, write_camera

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
NOTEBOOK = DOCS / "examples" / "first_steps.ipynb"
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md")])


def tool(name: str) -> ModuleType:
    """A script of tools/, imported."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_reference_is_what_the_commands_are():
    written = (DOCS / "COMMANDS.md").read_text()
    assert written == tool("command_reference").reference(), "run tools/command_reference.py"


def test_the_command_reference_names_every_option_of_every_command():
    page = tool("command_reference").reference()
    commands = typer.main.get_command(app).commands
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    assert sections.keys() == commands.keys()
    for name, command in commands.items():
        written = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", sections[name]))
        options = {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)}
        assert {flag for flag in options if flag.startswith("-")} - {"--help"} <= written


def test_the_site_builds_without_a_warning(tmp_path: Path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install '.[docs]'")
    pytest.importorskip(
        "material", reason="mkdocs-material is not installed: pip install '.[docs]'"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        # Its authors' notice of what comes after version 1 is none of ours.
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert "How it works" in (tmp_path / "site" / "index.html").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path):
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_in_the_docs_exists(page: Path):
    commands = typer.main.get_command(app).commands
    for line in re.sub(r"\\\n\s*", " ", page.read_text()).splitlines():
        for name, rest in re.findall(r"blur-imu ([a-z][a-z-]*)([^`#]*)", line):
            known = {flag for p in commands[name].params for flag in (*p.opts, *p.secondary_opts)}
            used = re.findall(r"(?<=\s)--?[a-z][a-z-]*", rest)
            assert set(used) <= known | {"--help"}, line


@needs_model
def test_the_notebook_runs_from_top_to_bottom(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    import matplotlib.pyplot as plt

    cells = json.loads(NOTEBOOK.read_text())["cells"]
    names: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
            assert cell["outputs"] == [], "outputs are stripped: they would tell of another model"
    plt.close("all")
    out = capsys.readouterr().out
    assert "rad/s" in out and "sign accuracy" in out
    assert out.strip().splitlines()[-1].startswith("False (")


def test_the_page_of_the_notebook_is_what_the_notebook_is():
    page = (DOCS / "FIRST_STEPS.md").read_text()
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        source = "".join(cell["source"]).replace("](../", "](")
        assert source in page, "run tools/docs_notebook.py"


@pytest.mark.parametrize("name", ["good", "bad"])
def test_the_gallery_shows_the_pictures_that_its_program_draws(name: str):
    page = (DOCS / "GALLERY.md").read_text().split(f"<!-- {name} frames -->")[1].split("<!--")[0]
    shown = set(re.findall(r"pictures/gallery/(\w+)\.jpg", page))
    source = (ROOT / "tools" / "docs_gallery.py").read_text()
    assert len(shown) >= 5 and all(f'"{case}"' in source for case in shown)


def test_the_notices_name_every_package_that_is_used_and_the_data_of_every_model():
    notices = (ROOT / "THIRD_PARTY_NOTICES.md").read_text()
    toml = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
    project = toml.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].items()
    used = [
        one for name, extra in extras if name not in {"ros", "ros-jazzy", "dev"} for one in extra
    ]
    packages = [re.match(r"[\w.-]+", one)[0] for one in (*project["dependencies"], *used)]
    assert {"numpy", "torch", "mkdocs-material"} <= set(packages)
    assert [name for name in packages if not re.search(rf"\| .*\b{name}\b", notices)] == []
    cards = [json.loads(path.read_text()) for path in (ROOT / "models").glob("*.json")]
    data = {line for card in cards for line in card["training"].get("data", ())}
    assert [line for line in data if f"- {line}\n" not in notices] == []


def test_the_python_of_the_quick_start_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    section = (DOCS / "QUICK_START.md").read_text().split("## Python")[1]
    code = section.split("```python\n")[1].split("```")[0]
    images = turning_images(4)
    size = (images[0].shape[1], images[0].shape[0])
    video = cv2.VideoWriter(str(tmp_path / "walk.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, size)
    for image in images:
        video.write(image)
    video.release()
    write_camera(tmp_path / "camera.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("blur_imu_ros.network.blur_network.load_network", Oracle)
    exec(compile(code, "QUICK_START.md", "exec"), {})
    lines = [line for line in capsys.readouterr().out.splitlines() if line.endswith("True")]
    assert len(lines) == 4


def test_every_key_of_a_model_card_and_every_column_of_the_csv_is_explained():
    page = (DOCS / "FILE_FORMATS.md").read_text()
    keys = {field.name for field in fields(ModelCard)} - {"name"}
    assert [key for key in sorted(keys) if f"`{key}`" not in page] == []
    explained = page.replace("`s_wx` ... `s_vz`", "".join(f"`s_{name}`" for name in VELOCITIES))
    assert [name for name in columns_of(False) if not re.search(rf"[`,]{name}\b", explained)] == []
