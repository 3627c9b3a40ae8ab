"""An evaluation as one HTML file that needs nothing else: no server, no network.

Tables are plain HTML. The charts are drawn by `report.js`, which goes into the file with its numbers.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import VELOCITIES
from blur_imu_ros.evaluation.metrics import Evaluation, MatchedSeries, worst_rows
from blur_imu_ros.execution.files import write_text
from blur_imu_ros.viz.plots import ESTIMATE, TRUTH, UNITS

MOST_POINTS = 20_000
"""Rows above which only every so many are drawn; tables and histograms count all."""
BARS = 41
LATEST_START = 1e4
"""Seconds. Times that begin later, such as those since 1970, are shown from the first second on."""

_ERRORS = (("w", "rad/s", slice(0, 3)), ("v", "m/s", slice(3, 6)))
_HERE = Path(__file__).parent
_NOTHING_FROM_OUTSIDE = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
)

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
    path: Path,
    matched: MatchedSeries,
    result: Evaluation,
    title: str,
    remarks: Iterable[str],
    pictures: Sequence[bytes] = (),
) -> None:
    """Write the report of an evaluation.

    Args:
        path: of the HTML file.
        matched: the series that were compared.
        result: what came out.
        title: plain text.
        remarks: further lines of plain text.
        pictures: JPEGs of the valid rows that `worst_rows` gives, in that order; none shows none.

    Raises:
        RecordingError: the file cannot be written.
    """
    used, drawn = matched.used(), _thinned(matched)
    start = _start(matched)
    histograms = _histograms(used)
    scatter = _against_blur(_thinned(used))
    data = {
        "colours": {"estimate": ESTIMATE, "truth": TRUTH},
        "rows": _rows(drawn, start),
        "velocities": _velocities(drawn),
        "histograms": histograms,
        "blur": scatter,
    }
    parts = [
        f"<h1>{escape(title)}</h1>",
        _list(remarks),
        _table(("", *VELOCITIES), table_rows(result)),
        '<h2 id="time">Over time</h2>',
        _over_time(matched, drawn),
        "<h2>Errors</h2>",
        _charts([f"error {one['name']}" for one in histograms], "three"),
    ]
    if scatter:
        parts += [
            "<h2>Errors by the length of the smear</h2>",
            _table(("pixels", "frames", "RMSE w [rad/s]", "RMSE v [m/s]"), blur_rows(result)),
            _charts([f"blur {one['name']}" for one in scatter]),
        ]
    parts += ["<h2>Frames with the largest errors</h2>", _worst(used, start, pictures)]
    write_text(path, _page(title, parts, data))


# --- HTML -----------------------------------------------------------------------------------------


def _page(title: str, parts: list[str], data: dict[str, Any]) -> str:
    style, script = ((_HERE / f"report.{kind}").read_text("utf-8") for kind in ("css", "js"))
    # A "<" in a name must not end the element that holds the numbers.
    numbers = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
    body = "\n".join(parts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="{_NOTHING_FROM_OUTSIDE}">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
{body}
<div id="tip" hidden></div>
<script type="application/json" id="data">{numbers}</script>
<script>
{script}</script>
</body>
</html>
"""


def _list(lines: Iterable[str]) -> str:
    return '<ul class="remarks">' + "".join(f"<li>{escape(x)}</li>" for x in lines) + "</ul>"


def _table(headings: Row, rows: list[Row]) -> str:
    return _table_of(headings, [tuple(map(escape, row)) for row in rows])


def _table_of(headings: Row, rows: list[Row]) -> str:
    """Return a table whose cells are HTML already."""

    def line(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    head, body = line(map(escape, headings), "th"), "".join(line(row, "td") for row in rows)
    table = f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _charts(names: Iterable[str], kind: str = "") -> str:
    canvases = (
        f'<canvas data-chart="{name}" role="img" aria-label="{name}"></canvas>' for name in names
    )
    return f'<div class="charts {kind}">{"".join(canvases)}</div>'


def _over_time(matched: MatchedSeries, drawn: MatchedSeries) -> str:
    legend = (
        f'<i style="background:{TRUTH}"></i>truth',
        f'<i style="background:{ESTIMATE}"></i>from blur',
        *(
            [f'<i class="band" style="background:{ESTIMATE}33"></i>±2σ']
            if _has_sigma(drawn)
            else []
        ),
        *([] if drawn.valid.all() else ['<i class="cross">×</i>not valid']),
    )
    every = round(len(matched.t) / max(len(drawn.t), 1))
    thinned = f" One row of {every} is drawn." if every > 1 else ""
    return (
        f'<p class="legend">{"".join(f"<span>{one}</span>" for one in legend)}'
        '<button id="whole" type="button">whole time</button></p>\n'
        '<p class="hint">Point at a chart for its numbers, drag to zoom, double-click for all.'
        f"{thinned}</p>\n<noscript><p>The charts need JavaScript; the tables do not.</p></noscript>\n"
        # Angular velocity on the left, linear on the right.
        f"{_charts(VELOCITIES[k] for k in (0, 3, 1, 4, 2, 5))}"
    )


def _worst(used: MatchedSeries, start: float, pictures: Sequence[bytes]) -> str:
    headings = ("frame", "t [s]", "smear [px]", "|error w|", *(f"error {n}" for n in VELOCITIES))
    rows, figures = [], []
    for place, row in enumerate(worst_rows(used)):
        error = used.error[row]
        name = escape(used.frames[row] if used.frames else f"row {row}")
        link = f'<a href="#time" data-t="{used.t[row] - start:.6f}">{name}</a>'
        smear = "" if used.blur_px is None else f"{used.blur_px[row]:.1f}"
        size = f"{np.linalg.norm(error[:3]):.2f}"
        errors = (f"{x:+.2f}" if np.isfinite(x) else "" for x in error)
        rows.append((link, f"{used.t[row]:.3f}", smear, size, *errors))
        if pictures:
            caption = f"{link}, |error w| {size} rad/s"
            figures.append(_figure(pictures[place], name, caption))
    return f'{_table_of(headings, rows)}\n<div class="frames">{"".join(figures)}</div>'


def _figure(jpeg: bytes, name: str, caption: str) -> str:
    source = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    return (
        f'<figure><img src="{source}" alt="overlay of {name}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


# --- numbers for the charts -----------------------------------------------------------------------


def _packed(numbers: Array) -> str:
    """Return numbers as base64 of little-endian float32."""
    return base64.b64encode(np.ascontiguousarray(numbers, "<f4").tobytes()).decode()


def _thinned(matched: MatchedSeries) -> MatchedSeries:
    every = np.zeros(len(matched.t), bool)
    every[:: -(-len(matched.t) // MOST_POINTS) or 1] = True
    return matched.rows(every)


def _start(matched: MatchedSeries) -> float:
    """Return what is taken off all times, so that float32 holds their milliseconds."""
    first = float(np.floor(matched.t[0]))
    return first if first > LATEST_START else 0.0


def _rows(drawn: MatchedSeries, start: float) -> dict[str, Any]:
    return {
        "start": start,
        "t": _packed(drawn.t - start),
        "valid": _packed(drawn.valid),
        "frames": list(map(str, drawn.frames)) or None,
    }


def _has_sigma(drawn: MatchedSeries) -> bool:
    return drawn.sigma is not None and bool(np.isfinite(drawn.sigma).any())


def _velocities(drawn: MatchedSeries) -> list[dict[str, Any]]:
    sigma = drawn.sigma if _has_sigma(drawn) else None
    return [
        {
            "name": name,
            "unit": UNITS[k],
            "estimate": _packed(drawn.estimate[:, k]),
            "truth": _packed(drawn.truth[:, k]),
            "sigma": None if sigma is None else _packed(sigma[:, k]),
        }
        for k, name in enumerate(VELOCITIES)
    ]


def _histograms(used: MatchedSeries) -> list[dict[str, Any]]:
    """Return the histograms of those errors that are known."""
    made = []
    for name, unit, error in zip(VELOCITIES, UNITS, used.error.T, strict=True):
        error = error[np.isfinite(error)]
        if not len(error):
            continue
        # What lies outside is counted in the outermost bars.
        reach = max(float(np.percentile(np.abs(error), 99.5)), 1e-3)
        counts, edges = np.histogram(np.clip(error, -reach, reach), BARS, (-reach, reach))
        centres = _packed((edges[1:] + edges[:-1]) / 2)
        made.append({"name": name, "unit": unit, "centres": centres, "counts": counts.tolist()})
    return made


def _against_blur(drawn: MatchedSeries) -> list[dict[str, Any]]:
    """Return the sizes of the errors by rising length of the smear, where these are known."""
    if drawn.blur_px is None:
        return []
    made = []
    for name, unit, axes in _ERRORS:
        size = np.linalg.norm(drawn.error[:, axes], axis=1)
        known = np.flatnonzero(np.isfinite(size))
        order = known[np.argsort(drawn.blur_px[known])]
        if not len(order):
            continue
        made.append({
            "name": name,
            "unit": unit,
            "blur": _packed(drawn.blur_px[order]),
            "size": _packed(size[order]),
            "frames": [str(drawn.frames[k]) for k in order] if drawn.frames else None,
        })  # fmt: skip
    return made
