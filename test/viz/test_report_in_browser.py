"""The report in a real browser: it fetches nothing, complains of nothing, answers the mouse."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_report import compared

from blur_imu_ros.evaluation.metrics import MatchedSeries, evaluate, worst_rows
from blur_imu_ros.viz import report
from helpers.browser import Page, chromium

WX = 'canvas[data-chart="wx"]'


def write(path: Path, matched: MatchedSeries, pictures: list[bytes] | None = None) -> Path:
    remarks = ["right signs 99 %"]
    report.write_report(path, matched, evaluate(matched), "a against b", remarks, pictures or [])
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    executable = chromium()
    if executable is None:
        pytest.skip("there is no Chromium: apt-get install chromium-headless-shell")
    matched = compared(300)
    grey = [np.full((90, 160, 3), 20 * k, np.uint8) for k in range(len(worst_rows(matched.used())))]
    pictures = [cv2.imencode(".jpg", image)[1].tobytes() for image in grey]
    path = write(tmp_path_factory.mktemp("report") / "report.html", matched, pictures)
    with Page(executable) as page:
        page.open(path)
        yield page


def seen(page: Page, chart: str = WX) -> tuple[float, float]:
    """The range of time, seconds, that a chart shows."""
    return tuple(
        page.evaluate(
            f"(() => {{ const d = document.querySelector('{chart}').dataset;"
            "return [Number(d.from), Number(d.to)]; })()"
        )
    )


def drag(page: Page, chart: str, pixels: float) -> None:
    x, y = page.centre_of(chart)
    page.mouse("mousePressed", x - pixels / 2, y)
    page.mouse("mouseMoved", x + pixels / 2, y)
    page.mouse("mouseReleased", x + pixels / 2, y)


def tip(page: Page) -> str:
    return page.evaluate("tip.hidden ? '' : tip.textContent")


def drawn(page: Page, chart: str) -> int:
    """How many pixels of a chart are coloured like an estimate."""
    return page.evaluate(
        f"(() => {{ const c = document.querySelector('{chart}');"
        "const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;"
        "for (let k = 0; k < p.length; k += 4)"
        "  n += p[k] > 180 && p[k + 1] < 110 && p[k + 2] < 130 && p[k + 3] > 100;"
        "return n; })()"
    )


def test_nothing_is_fetched_and_nothing_is_complained_of(page: Page):
    assert len(page.requests) == 1 and page.requests[0].endswith("report.html")
    assert page.complaints == []


def test_every_chart_is_drawn(page: Page):
    charts = page.evaluate("[...document.querySelectorAll('canvas')].map(c => c.dataset.chart)")
    assert len(charts) == 6 + 6 + 6 + 4 + 1
    empty = [name for name in charts if drawn(page, f'canvas[data-chart="{name}"]') < 100]
    assert empty == []


def test_pointing_at_a_curve_tells_its_numbers(page: Page):
    page.mouse("mouseMoved", *page.centre_of(WX))
    told = tip(page)
    assert told.startswith("frame <") and " ± 0.200 rad/s" in told and "truth" in told
    page.mouse("mouseMoved", 2, 2)
    assert tip(page) == ""


def test_pointing_at_a_bar_tells_how_many_frames_it_counts(page: Page):
    page.mouse("mouseMoved", *page.centre_of('canvas[data-chart="error wy"]'))
    assert " frames" in tip(page) and " to " in tip(page)


def test_dragging_zooms_all_six_and_a_double_click_shows_the_whole(page: Page):
    whole = seen(page)
    assert whole[0] < 0 and whole[1] > 299 / 30
    drag(page, WX, 100)
    near = seen(page)
    assert near == seen(page, 'canvas[data-chart="vz"]')
    assert 0.5 < near[1] - near[0] < 4 and whole[0] < near[0]
    page.click(*page.centre_of(WX), clicks=2)
    assert seen(page) == whole


def test_a_bad_frame_shows_its_moment_and_its_picture_grows(page: Page):
    page.click(*page.centre_of("a[data-t]"))
    assert seen(page) == pytest.approx((55 / 30 - 0.5, 55 / 30 + 0.5), abs=1e-3)
    page.click(*page.centre_of("#whole"))
    small = page.evaluate("document.querySelector('figure img').clientWidth")
    page.click(*page.centre_of("figure img"))
    assert page.evaluate("document.querySelector('figure img').clientWidth") > 2 * small


def test_bare_velocities_and_late_stamps_are_drawn_too(page: Page, tmp_path: Path):
    matched = compared(300)
    matched.truth[:, 3:] = np.nan
    late = replace(matched, t=matched.t + 1.7e9, blur_px=None, frames=(), sigma=None)
    page.open(write(tmp_path / "bare.html", late))
    assert page.complaints == []
    page.mouse("mouseMoved", *page.centre_of('canvas[data-chart="vx"]'))
    assert "t 170000000" in tip(page) and "truth unknown" in tip(page)
    assert "±" not in tip(page)


def test_a_long_recording_is_drawn_and_answers_too(page: Page, tmp_path: Path):
    page.open(write(tmp_path / "long.html", compared(report.MOST_POINTS)))
    assert page.complaints == [] and drawn(page, WX) > 100
    page.mouse("mouseMoved", *page.centre_of(WX))
    assert "frame <" in tip(page)
    drag(page, WX, 100)
    assert seen(page)[1] - seen(page)[0] < report.MOST_POINTS / 30 / 3


def test_the_script_is_javascript():
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = Path(report.__file__).with_name("report.js")
    done = subprocess.run([node, "--check", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
