"""The report of an evaluation is one file that tells everything and fetches nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from blur_imu_ros.cli import app
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.evaluation import MatchedSeries, evaluate, match
from blur_imu_ros.report import write_report
from blur_imu_ros.results import VelocitySeries
from test_alignment import apart


def compared(n: int = 100) -> MatchedSeries:
    rng = np.random.default_rng(0)
    t = np.arange(n) / 30
    truth = VelocitySeries(t, np.sin(t[:, None] * np.arange(3, 9)), None, np.ones(n, bool))
    estimate = replace(
        truth,
        velocity=truth.velocity + rng.normal(0, 0.2, (n, 6)),
        sigma=np.full((n, 6), 0.2),
        valid=np.arange(n) % 10 > 0,
        blur_px=np.linspace(1, 50, n),
        frames=tuple(f"frame <{k}>" for k in range(n)),
    )
    estimate.velocity[55, 0] += 9
    return match(estimate, truth)


def test_everything_is_in_one_file_and_nothing_is_fetched(tmp_path: Path):
    path = tmp_path / "out" / "report.html"
    matched = compared()
    write_report(path, matched, evaluate(matched), "a <b> & c", ["right signs 99 %"])
    html = path.read_text()
    assert html.count("<svg") == 3 and "right signs 99 %" in html
    assert "a &lt;b&gt; &amp; c" in html and "frame <" not in html
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", html)
    assert "<script" not in html and "<link" not in html and "url(http" not in html


def test_the_worst_frame_is_named_first(tmp_path: Path):
    matched = compared()
    write_report(tmp_path / "r.html", matched, evaluate(matched), "t", [])
    after = (tmp_path / "r.html").read_text().split("largest errors")[1]
    assert re.findall(r"frame &lt;(\d+)&gt;", after)[0] == "55"


def test_without_blur_lengths_and_linear_velocity_the_rest_is_told(tmp_path: Path):
    matched = compared()
    matched.truth[:, 3:] = np.nan
    bare = replace(matched, blur_px=None, frames=(), sigma=None)
    write_report(tmp_path / "r.html", bare, evaluate(bare), "t", [])
    html = (tmp_path / "r.html").read_text()
    assert html.count("<svg") == 2 and "nan" not in html.split("Over time")[0]


def test_a_long_recording_stays_a_small_file(tmp_path: Path):
    matched = compared(20_000)
    write_report(tmp_path / "r.html", matched, evaluate(matched), "t", [])
    assert (tmp_path / "r.html").stat().st_size < 3e6
    assert "data:image/png" in (tmp_path / "r.html").read_text()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    matched = compared()
    with pytest.raises(RecordingError, match="cannot be written"):
        write_report(tmp_path / "file" / "r.html", matched, evaluate(matched), "t", [])


def write_csv(path: Path, series: VelocitySeries) -> None:
    table = np.column_stack([series.t, series.velocity[:, :3]])
    np.savetxt(path, table, delimiter=",", header="t,wx,wy,wz", comments="", fmt="%.9f")


def test_evaluate_finds_axes_and_offset_and_writes_all_that_is_asked_for(tmp_path: Path):
    true = apart(3, noise=0.1)
    write_csv(tmp_path / "est.csv", true.camera)
    write_csv(tmp_path / "gyro.csv", true.gyro)
    names = {kind: tmp_path / f"out.{kind}" for kind in ("json", "html", "png")}
    done = CliRunner().invoke(
        app,
        [
            *("evaluate", str(tmp_path / "est.csv"), str(tmp_path / "gyro.csv")),
            *("--truth-axes", "found", "--fit-exposure", "--json", str(names["json"])),
            *("--html", str(names["html"]), "--plot", str(names["png"])),
        ],
    )
    assert done.exit_code == 0, done.output
    assert "found: time offset" in done.output and "RMSE, all rows" in done.output
    content = json.loads(names["json"].read_text())
    assert content["alignment"]["time_offset"] == pytest.approx(true.offset, abs=0.005)
    np.testing.assert_allclose(content["alignment"]["rotation"], true.rotation, atol=0.02)
    assert max(content["rmse"][:3]) < 0.25
    assert names["html"].is_file() and names["png"].is_file()
