"""The report of an evaluation is one file that tells everything and fetches nothing."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from blur_imu_ros import __version__
from blur_imu_ros.cli.application import app
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.evaluation.metrics import MatchedSeries, evaluate, match
from blur_imu_ros.recordings.trajectories import read_poses
from blur_imu_ros.results.run_record import RunRecord
from blur_imu_ros.viz.overlay_pictures import overlay_pictures
from blur_imu_ros.viz.report import write_report
from helpers.camera_and_gyro import apart
from helpers.command_line import CommandLine


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


def charts_of(html: str) -> list[str]:
    return re.findall(r'<canvas data-chart="([^"]+)"', html)


def numbers_of(html: str) -> dict[str, Any]:
    return json.loads(html.split('id="data">')[1].split("</script>")[0])


def unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


class Nesting(HTMLParser):
    """Whether the elements of a page are nested as they should be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_everything_is_in_one_file_and_nothing_is_fetched(tmp_path: Path):
    path = tmp_path / "out" / "report.html"
    matched = compared()
    write_report(path, matched, evaluate(matched), "a <b> & c", ["right signs 99 %"])
    html = path.read_text()
    assert charts_of(html) == [
        *("wx", "vx", "wy", "vy", "wz", "vz"),
        *("residual wx", "residual vx", "residual wy", "residual vy", "residual wz", "residual vz"),
        *("error wx", "error wy", "error wz", "error vx", "error vy", "error vz"),
        *("against speed w", "against speed v", "against blur w", "against blur v", "consistency"),
    ]
    for unit in ("wx [rad/s]", "vx [m/s]", "motion blur [px of the network&#x27;s view]"):
        assert f"<th>{unit}</th>" in html
    assert "right signs 99 %" in html
    assert "a &lt;b&gt; &amp; c" in html and "frame <" not in html
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", html)
    assert "<link" not in html and "//" not in re.sub(r"//.*", "", html) and "url(" not in html
    assert "default-src 'none'" in html


def test_every_element_is_closed(tmp_path: Path):
    matched = compared()
    write_report(tmp_path / "r.html", matched, evaluate(matched), "t", [], [b"jpeg"] * 10)
    parser = Nesting()
    parser.feed((tmp_path / "r.html").read_text())
    assert parser.open == [] and parser.wrong == []


def test_the_numbers_of_the_charts_are_those_of_the_series(tmp_path: Path):
    matched = compared()
    write_report(tmp_path / "r.html", matched, evaluate(matched), "t", [])
    numbers = numbers_of((tmp_path / "r.html").read_text())
    vy = numbers["velocities"][4]
    assert (vy["name"], vy["unit"]) == ("vy", "m/s")
    np.testing.assert_allclose(unpacked(vy["estimate"]), matched.estimate[:, 4], rtol=1e-6)
    np.testing.assert_allclose(unpacked(vy["truth"]), matched.truth[:, 4], atol=1e-6)
    np.testing.assert_array_equal(unpacked(numbers["rows"]["valid"]), matched.valid)
    assert sum(numbers["histograms"][0]["counts"]) == matched.valid.sum()
    rising = unpacked(numbers["scatter"][2]["x"])
    assert np.all(np.diff(rising) > 0) and len(rising) == matched.valid.sum()


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
    axes = ("wx", "wy", "wz")
    charts = [*(f"residual {a}" for a in axes), *(f"error {a}" for a in axes), "against speed w"]
    assert charts_of(html)[6:] == charts and numbers_of(html)["consistency"] is None
    assert "vx [m/s]" not in html and "<td></td>" not in html
    assert numbers_of(html)["velocities"][0]["sigma"] is None
    assert "nan" not in html.split("Over time")[0]


def test_a_long_recording_stays_a_small_file_that_counts_all(tmp_path: Path):
    matched = compared(50_000)
    write_report(tmp_path / "r.html", matched, evaluate(matched), "t", [])
    html = (tmp_path / "r.html").read_text()
    assert len(html) < 4e6 and "One row of 3 is drawn" in html
    assert sum(numbers_of(html)["histograms"][5]["counts"]) == matched.valid.sum()


def test_stamps_since_1970_keep_their_milliseconds(tmp_path: Path):
    matched = compared()
    late = replace(matched, t=matched.t + 1.7e9)
    write_report(tmp_path / "r.html", late, evaluate(late), "t", [])
    rows = numbers_of((tmp_path / "r.html").read_text())["rows"]
    np.testing.assert_allclose(rows["start"] + unpacked(rows["t"]), late.t, atol=1e-4)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    matched = compared()
    with pytest.raises(RecordingError, match="cannot be written"):
        write_report(tmp_path / "file" / "r.html", matched, evaluate(matched), "t", [])


def overlay_of(path: Path, frames: int) -> Path:
    """A video of a bar that moves to the right by 8 pixels a frame."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (800, 96))
    for k in range(frames):
        image = np.zeros((96, 800, 3), np.uint8)
        image[:, 8 * k : 8 * k + 8] = 255
        video.write(image)
    video.release()
    return path


def frame_of(jpeg: bytes) -> float:
    """Which frame of `overlay_of` a picture is."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    return float(np.mean(np.flatnonzero(image.mean(axis=0) > 127)) - 3.5) / 8


def test_the_pictures_are_those_of_the_rows_that_were_asked_for(tmp_path: Path):
    overlay = overlay_of(tmp_path / "overlay.mp4", 100)
    pictures = overlay_pictures(overlay, [55, 3, 99], 100)
    assert [frame_of(jpeg) for jpeg in pictures] == pytest.approx([55, 3, 99], abs=0.2)


def test_evaluate_shows_the_worst_frame_from_the_overlay(tmp_path: Path, blur_imu: CommandLine):
    csv = csv_with_one_bad_row(tmp_path, bad=70)
    overlay = overlay_of(tmp_path / "overlay.mp4", 100)
    report = tmp_path / "r.html"
    truth = tmp_path / "truth.csv"
    done = blur_imu("evaluate", csv, truth, "--html", report, "--overlay", overlay)
    assert done.status == 0, done
    jpegs = re.findall(r"data:image/jpeg;base64,([^\"]+)", report.read_text())
    assert len(jpegs) == 10
    assert frame_of(base64.b64decode(jpegs[0])) == pytest.approx(70, abs=0.2)


def test_an_overlay_of_another_run_is_refused(tmp_path: Path, blur_imu: CommandLine):
    csv = csv_with_one_bad_row(tmp_path, bad=70)
    overlay = overlay_of(tmp_path / "overlay.mp4", 90)
    report, truth = tmp_path / "r.html", tmp_path / "truth.csv"
    refusal = blur_imu("evaluate", csv, truth, "--html", report, "--overlay", overlay).refusal
    assert "has 90 frames, but the estimate 100 rows" in refusal
    (tmp_path / "no.mp4").write_text("no video")
    refusal = blur_imu(
        "evaluate", csv, truth, "--html", report, "--overlay", tmp_path / "no.mp4"
    ).refusal
    assert "no.mp4: cannot be opened as a video" in refusal
    refusal = blur_imu("evaluate", csv, truth, "--overlay", overlay).refusal
    assert "give --html too" in refusal


def csv_with_one_bad_row(folder: Path, bad: int) -> Path:
    """An estimate (returned) that is wrong in one row, beside its ground truth; its first 5 rows
    precede it."""
    t = np.arange(100) / 30
    true = VelocitySeries(t, np.sin(t[:, None] * np.arange(3, 9)), None, np.ones(100, bool))
    write_csv(folder / "truth.csv", replace(true, t=t[5:], velocity=true.velocity[5:]))
    true.velocity[bad, 0] += 9
    write_csv(folder / "est.csv", true)
    return folder / "est.csv"


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
    assert done.output.count("time offset") == 1 and "found and applied" in done.output
    content = json.loads(names["json"].read_text())
    assert content["alignment"]["time_offset"] == pytest.approx(true.offset, abs=0.005)
    np.testing.assert_allclose(content["alignment"]["rotation"], true.rotation, atol=0.02)
    assert max(content["rmse"][:3]) < 0.25
    assert names["html"].is_file() and names["png"].is_file()


def test_what_cannot_be_known_is_no_nan(tmp_path: Path, blur_imu: CommandLine):
    t = np.arange(50) / 30
    table = np.column_stack([t, np.sin(t[:, None] * np.arange(3, 9)), np.full((50, 6), 0.2)])
    names = "t,wx,wy,wz,vx,vy,vz,s_wx,s_wy,s_wz,s_vx,s_vy,s_vz"
    np.savetxt(tmp_path / "est.csv", table, delimiter=",", header=names, comments="")
    np.savetxt(tmp_path / "gyro.csv", table[:, :4], delimiter=",", header=names[:10], comments="")
    done = blur_imu("evaluate", tmp_path / "est.csv", tmp_path / "gyro.csv")
    assert done.status == 0, done
    assert "NEES over its degrees of freedom 0.00 (w)," in done.out and "nan" not in done.out
    assert "sign accuracy: no row rotates faster than 2 rad/s" in done.out
    assert "vx" not in done.out and "[rad/s]" in done.out


def test_the_covariance_is_right_where_errors_are_as_large_as_it_says(tmp_path: Path):
    n = 4000
    rng = np.random.default_rng(0)
    t = np.arange(n) / 30
    truth = VelocitySeries(t, np.zeros((n, 6)), None, np.ones(n, bool))
    sigma = np.tile([0.2, 0.2, 0.2, 0.4, 0.4, 0.4], (n, 1))
    noise = rng.normal(0, 0.2, (n, 6))  # of v half of what sigma says
    matched = match(replace(truth, velocity=noise, sigma=sigma), truth)
    write_report(tmp_path / "r.html", matched, evaluate(matched), "t", [])
    drawn = numbers_of((tmp_path / "r.html").read_text())["consistency"]
    shares, (w, v) = unpacked(drawn["shares"]), (unpacked(c["within"]) for c in drawn["curves"])
    np.testing.assert_allclose(w, shares, atol=0.02)
    assert np.all(v > shares) and v[24] == pytest.approx(0.82, abs=0.02)


def test_the_header_tells_what_was_compared(tmp_path: Path, blur_imu: CommandLine):
    csv = csv_with_one_bad_row(tmp_path, bad=70)
    recipe = {"recording": "/data/walk.mp4", "model": "compact", "exposure_time": 0.01,
              "motion_prior": "pivot", "axes": "optical", "version": "0.0.9"}  # fmt: skip
    RunRecord(recipe, rows=100, finished=True).save(csv)
    done = blur_imu("evaluate", csv, tmp_path / "truth.csv", "--json", tmp_path / "figures")
    told = " ".join(done.out.split())
    assert (
        "recording walk.mp4; model compact; exposure 10 ms; motion prior pivot; axes optical"
        in told
    )
    assert "0.0.9" in told and __version__ in told
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["run"]["model"] == "compact" and figures["evaluated_by"] == __version__


@pytest.mark.parametrize("option", ["--html", "--plot", "--json", "--trajectory"])
def test_endings_are_completed_or_refused(tmp_path: Path, blur_imu: CommandLine, option: str):
    csv = csv_with_one_bad_row(tmp_path, bad=70)
    refusal = blur_imu("evaluate", csv, tmp_path / "truth.csv", option, tmp_path / "x.doc").refusal
    assert "x.doc: choose one of the endings ." in refusal
    done = blur_imu("evaluate", csv, tmp_path / "truth.csv", option, tmp_path / "out")
    assert done.status == 0 and len(list(tmp_path.glob("out.*"))) == 1 + (option == "--trajectory")


def test_trajectories_of_both_start_together(tmp_path: Path, blur_imu: CommandLine):
    csv = csv_with_one_bad_row(tmp_path, bad=70)
    done = blur_imu("evaluate", csv, tmp_path / "truth.csv", "--trajectory", tmp_path / "t")
    assert done.status == 0
    estimate, truth = (read_poses(tmp_path / name) for name in ("t.tum", "t.truth.tum"))
    assert estimate.t[0] == truth.t[0] and len(estimate.t) == len(truth.t) == 95
    before = estimate.t < 69 / 30
    apart = (estimate.rotation[before].inv() * truth.rotation[before]).magnitude()
    assert (
        apart.max() < 1e-6 and (estimate.rotation[-1].inv() * truth.rotation[-1]).magnitude() > 0.1
    )


def fused() -> MatchedSeries:
    matched = compared()
    return replace(matched, single=1.2 * matched.truth)


def test_what_each_image_told_alone_stands_beside(tmp_path: Path):
    matched = fused()
    result = evaluate(matched)
    used = matched.used()
    np.testing.assert_allclose(result.rmse_single, 0.2 * np.sqrt(np.mean(used.truth**2, axis=0)))
    assert result.exposure_scale == pytest.approx(1.2)
    write_report(tmp_path / "r.html", matched, result, "t", [])
    html = (tmp_path / "r.html").read_text()
    assert "RMSE of each image alone" in html and "each image alone</span>" in html
    single = unpacked(numbers_of(html)["velocities"][0]["single"])
    np.testing.assert_allclose(single, matched.single[:, 0], rtol=1e-6, atol=1e-7)
    write_report(tmp_path / "r.html", compared(), evaluate(compared()), "t", [])
    assert "alone" not in (tmp_path / "r.html").read_text().split("<script")[0]


def test_fused_velocities_are_not_scaled_by_another_exposure(tmp_path: Path, blur_imu: CommandLine):
    t = np.arange(50) / 30
    w = 3 * np.sin(t[:, None] * np.arange(3, 9))
    names = ("wx", "wy", "wz", "vx", "vy", "vz")
    header = ",".join(("t", *names, *(f"single_{name}" for name in names), "valid"))
    table = np.column_stack([t, w, 1.1 * w, np.ones(50)])
    np.savetxt(tmp_path / "est.csv", table, delimiter=",", header=header, comments="")
    np.savetxt(tmp_path / "gt.csv", table[:, :4], delimiter=",", header="t,wx,wy,wz", comments="")
    done = blur_imu("evaluate", tmp_path / "est.csv", tmp_path / "gt.csv")
    assert (
        "exposure that fits best (of each image alone): x 1.1" in done.out
        and "image alone" in done.out
    )
    refusal = blur_imu(
        "evaluate", tmp_path / "est.csv", tmp_path / "gt.csv", "--fit-exposure"
    ).refusal
    assert "run --no-registration" in refusal
