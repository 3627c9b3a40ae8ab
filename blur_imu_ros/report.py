"""An evaluation as one HTML file that needs nothing else: no server, no network, no scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blur_imu_ros.evaluation import Evaluation, MatchedSeries, worst_rows
from blur_imu_ros.plots import ESTIMATE, TRUTH, UNITS, velocity_figure
from blur_imu_ros.results import VELOCITIES, write_text

Array = NDArray[Any]

MOST_POINTS = 2000
"""Rows of a curve above which only every so many are drawn; figures always count all."""

MOST_VECTORS = 500
"""Rows of a curve above which it is a picture inside the drawing, which stays small so."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2d3d; max-width: 70rem; margin: 2rem auto;
       padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #dfe5eb }
th:first-child, td:first-child { text-align: left }
tbody tr:hover { background: #f2f5f8 } svg { width: 100%; height: auto }
"""

Row = tuple[str, ...]


def table_rows(result: Evaluation) -> list[Row]:
    """Return what is told of each of the six velocities: a name, then six numbers."""
    named = (
        ("RMSE", result.rmse),
        ("RMSE, all rows", result.rmse_all_rows),
        ("RMSE of zero", result.zero_rmse),
        ("mean |error|", result.mae),
        ("correlation", result.correlation),
        ("within 1 sigma", result.coverage[0]),
        ("within 2 sigma", result.coverage[1]),
    )
    return [(name, *map(_number, row)) for name, row in named]


def blur_rows(result: Evaluation) -> list[Row]:
    """Return the errors by the length of the smear: pixels, frames, rad/s, m/s."""
    return [
        (
            f"{b.low:g} to {b.high:g}" if b.high < 1e3 else f"over {b.low:g}",
            f"{b.rows}",
            *map(_number, b.rmse),
        )
        for b in result.by_blur
    ]


def _number(x: float) -> str:
    """Return two decimals, or nothing for what is not known."""
    return f"{x:.2f}" if np.isfinite(x) else ""


def write_report(
    path: Path, matched: MatchedSeries, result: Evaluation, title: str, remarks: Iterable[str]
) -> None:
    """Write the report of an evaluation.

    Args:
        path: of the HTML file.
        matched: the series that were compared.
        result: what came out.
        title: plain text.
        remarks: further lines of plain text.

    Raises:
        RecordingError: the file cannot be written.
    """
    used = matched.used()
    parts = [
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{escape(remark)}</p>" for remark in remarks),
        _table(("", *VELOCITIES), table_rows(result)),
        "<h2>Over time</h2>",
        _drawn(_time_series, matched),
        "<h2>Errors</h2>",
        _drawn(_histograms, used),
    ]
    if used.blur_px is not None:
        parts += [
            "<h2>Errors by the length of the smear</h2>",
            _table(("pixels", "frames", "RMSE w [rad/s]", "RMSE v [m/s]"), blur_rows(result)),
            _drawn(_against_blur, used),
        ]
    parts += ["<h2>Frames with the largest errors</h2>", _worst_table(used)]
    write_text(path, _page(title, parts))


def _page(title: str, parts: list[str]) -> str:
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n<body>\n{body}\n</body></html>\n'
    )


def _table(headings: Row, rows: list[Row]) -> str:
    def line(cells: Row, tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(headings, 'th')}</thead><tbody>{body}</tbody></table>"


def _worst_table(used: MatchedSeries) -> str:
    headings = ("frame", "t [s]", "smear [px]", "|error w|", *(f"error {n}" for n in VELOCITIES))
    rows = []
    for row in worst_rows(used):
        error = used.error[row]
        rows.append(
            (
                used.frames[row] if used.frames else f"row {row}",
                f"{used.t[row]:.3f}",
                "" if used.blur_px is None else f"{used.blur_px[row]:.1f}",
                f"{np.linalg.norm(error[:3]):.2f}",
                *(f"{x:+.2f}" if np.isfinite(x) else "" for x in error),
            )
        )
    return _table(headings, rows)


def _drawn(draw: Callable[[MatchedSeries], Figure], matched: MatchedSeries) -> str:
    """Return a figure as SVG to stand inside the page."""
    text = StringIO()
    # A salt of its own for each figure: marks of one must not be taken for another's.
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": draw.__name__}):
        figure = draw(matched)
        nothing_else = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(text, format="svg", dpi=150, metadata=nothing_else)
        plt.close(figure)
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _thinned(matched: MatchedSeries) -> MatchedSeries:
    every = np.zeros(len(matched.t), bool)
    every[:: 1 + len(matched.t) // MOST_POINTS] = True
    return matched.rows(every)


def _time_series(matched: MatchedSeries) -> Figure:
    drawn = _thinned(matched)
    truth = (drawn.t, drawn.truth)
    figure = velocity_figure(drawn.t, drawn.estimate, drawn.sigma, truth, valid=drawn.valid)
    if len(drawn.t) > MOST_VECTORS:
        for axis in figure.axes:
            for artist in (*axis.lines, *axis.collections):
                artist.set_rasterized(True)
    return figure


def _histograms(used: MatchedSeries) -> Figure:
    figure, axes = plt.subplots(2, 3, figsize=(12, 5), constrained_layout=True)
    for axis, error, name, unit in zip(axes.flat, used.error.T, VELOCITIES, UNITS, strict=True):
        error = error[np.isfinite(error)]
        reach = float(np.percentile(np.abs(error), 99.5)) if len(error) else 1.0
        reach = max(reach, 1e-3)
        # What lies outside is counted in the outermost bars.
        axis.hist(np.clip(error, -reach, reach), bins=41, range=(-reach, reach), color=ESTIMATE)
        axis.axvline(0, color=TRUTH, linewidth=0.8)
        axis.set_xlabel(f"error of {name} [{unit}]")
    return figure


def _against_blur(used: MatchedSeries) -> Figure:
    drawn = _thinned(used)
    figure, axes = plt.subplots(1, 2, figsize=(12, 4), constrained_layout=True)
    parts = ((axes[0], drawn.error[:, :3], "rad/s"), (axes[1], drawn.error[:, 3:], "m/s"))
    for axis, error, unit in parts:
        size = np.linalg.norm(error, axis=1)
        axis.plot(drawn.blur_px, size, ".", color=ESTIMATE, markersize=4, alpha=0.6)
        axis.set_xlabel("length of the smear [px of the network's view]")
        axis.set_ylabel(f"|error| [{unit}]")
        axis.grid(alpha=0.25)
    return figure
