"""An evaluation as one HTML file that needs nothing else: no server, no network.

Tables are plain HTML. The charts are drawn by `report.js`, which goes into the file with its
numbers: a charting library would make each report several megabytes, or need the network.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import UNITS, VELOCITIES
from blur_imu_ros.evaluation.metrics import Evaluation, MatchedSeries, worst_rows
from blur_imu_ros.execution.files import write_text
from blur_imu_ros.viz.plots import ESTIMATE, SINGLE, TRUTH
from blur_imu_ros.viz.tables import Row, Table, tables_of

MOST_POINTS = 20_000
"""Rows above which only every so many are drawn; tables and histograms count all."""
MOST_DOTS = 5_000
"""The same, of the charts of errors against speed and blur."""
BARS = 41
LATEST_START = 1e4
"""Seconds. Times that begin later, such as those since 1970, are shown from the first second on."""

_ERRORS = (("w", "rad/s", slice(0, 3)), ("v", "m/s", slice(3, 6)))
_HERE = Path(__file__).parent
_NOTHING_FROM_OUTSIDE = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
)


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
    scatter = _scatters(_thinned(used, MOST_DOTS))
    data = {
        "rows": _rows(drawn, start),
        "velocities": _velocities(drawn),
        "histograms": histograms,
        "scatter": scatter,
        "consistency": _consistency(used),
    }
    parts = [
        f"<h1>{escape(title)}</h1>",
        _list(remarks),
        *(f"<h3>{escape(table.title)}</h3>{_table(table)}" for table in tables_of(result)),
        '<h2 id="time">Over time</h2>',
        _over_time(matched, drawn),
        *_error_charts(drawn, histograms, scatter),
        *(_consistency_chart() if data["consistency"] else ()),
        "<h2>Frames with the largest errors</h2>",
        _worst(used, start, pictures),
    ]
    write_text(path, _page(title, parts, data))


# --- HTML -----------------------------------------------------------------------------------------


def _page(title: str, parts: list[str], data: dict[str, Any]) -> str:
    style, script = ((_HERE / f"report.{kind}").read_text("utf-8") for kind in ("css", "js"))
    paints = {"estimate": ESTIMATE, "truth": TRUTH, "single": SINGLE}
    style = ":root {" + "".join(f" --{name}: {c};" for name, c in paints.items()) + " }\n" + style
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


def _table(table: Table) -> str:
    return _table_of(table.headings, [tuple(map(escape, row)) for row in table.rows])


def _table_of(headings: Row, rows: list[Row]) -> str:
    """Return a table whose cells are HTML already."""

    def line(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    head, body = line(map(escape, headings), "th"), "".join(line(row, "td") for row in rows)
    table = f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _error_charts(
    drawn: MatchedSeries, histograms: Sequence[Any], scatter: Sequence[Any]
) -> Iterator[str]:
    """Yield the parts that show the errors over time, their distribution and what they go with."""
    yield "<h2>Residuals over time</h2>"
    yield '<p class="hint">Estimate minus ground truth, and the ±2σ band that should hold 95 %.</p>'
    yield _charts(f"residual {VELOCITIES[k]}" for k in (0, 3, 1, 4, 2, 5) if _is_known(drawn, k))
    yield "<h2>Distribution of the errors</h2>"
    yield _charts([f"error {one['name']}" for one in histograms], "three")
    yield "<h2>Errors against speed and blur</h2>"
    yield _charts(f"against {one['id']}" for one in scatter)


def _consistency_chart() -> Iterator[str]:
    """Yield the parts that show whether sigma is right."""
    yield "<h2>Is the covariance right?</h2>"
    yield (
        '<p class="hint">Share of errors in the interval that sigma predicts for a share. On the '
        "diagonal sigma is right, below it too small, above it too large.</p>"
    )
    yield (
        '<p class="legend"><span><i style="background:var(--estimate)"></i>w</span>'
        '<span><i style="background:var(--truth)"></i>v</span></p>'
    )
    yield _charts(["consistency"])


def _charts(names: Iterable[str], kind: str = "") -> str:
    canvases = (
        f'<canvas data-chart="{name}" role="img" aria-label="{name}"></canvas>' for name in names
    )
    return f'<div class="charts {kind}">{"".join(canvases)}</div>'


def _over_time(matched: MatchedSeries, drawn: MatchedSeries) -> str:
    legend = (
        '<i style="background:var(--truth)"></i>ground truth',
        '<i style="background:var(--estimate)"></i>estimate',
        *(
            []
            if drawn.single is None
            else ['<i style="background:var(--single)"></i>each image alone']
        ),
        *(['<i class="band"></i>±2σ'] if _has_sigma(drawn) else []),
        *([] if drawn.valid.all() else ['<i class="cross">×</i>not valid']),
    )
    every = round(len(matched.t) / max(len(drawn.t), 1))
    thinned = f" One row of {every} is drawn." if every > 1 else ""
    return (
        f'<p class="legend">{"".join(f"<span>{one}</span>" for one in legend)}'
        '<button id="whole" type="button">whole time</button></p>\n'
        '<p class="hint">Point at a chart to read its values, drag to zoom, double-click to reset.'
        f"{thinned}</p>\n<noscript><p>The charts need JavaScript; the tables do "
        "not.</p></noscript>\n"
        # Angular velocity on the left, linear on the right.
        f"{_charts(VELOCITIES[k] for k in (0, 3, 1, 4, 2, 5))}"
    )


def _worst(used: MatchedSeries, start: float, pictures: Sequence[bytes]) -> str:
    shown = [k for k in range(6) if np.isfinite(used.error[:, k]).any()]
    errors = (f"error {VELOCITIES[k]} [{UNITS[k]}]" for k in shown)
    blur = () if used.blur_px is None else ("blur [px]",)
    headings = ("frame", "t [s]", *blur, "|error w| [rad/s]", *errors)
    rows, figures = [], []
    for place, row in enumerate(worst_rows(used)):
        error = used.error[row]
        name = escape(used.frames[row] if used.frames else f"row {row}")
        link = f'<a href="#time" data-t="{used.t[row] - start:.6f}">{name}</a>'
        length = () if used.blur_px is None else (f"{used.blur_px[row]:.1f}",)
        size = f"{np.linalg.norm(error[:3]):.2f}"
        signed = (f"{x:+.2f}" if np.isfinite(x) else "" for x in error[shown])
        rows.append((link, f"{used.t[row]:.3f}", *length, size, *signed))
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


def _thinned(matched: MatchedSeries, most: int = MOST_POINTS) -> MatchedSeries:
    every = np.zeros(len(matched.t), bool)
    every[:: -(-len(matched.t) // most) or 1] = True
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
            "single": None if drawn.single is None else _packed(drawn.single[:, k]),
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


def _scatters(drawn: MatchedSeries) -> list[dict[str, Any]]:
    """Return the sizes of the errors by rising angular speed and motion blur, as far as known."""
    made = []
    against = [("speed", "true |w|", "rad/s", np.linalg.norm(drawn.truth[:, :3], axis=1))]
    if drawn.blur_px is not None:
        against.append(("blur", "motion blur", "px of view", drawn.blur_px))
    for kind, label, x_unit, x in against:
        for name, unit, axes in _ERRORS:
            size = np.linalg.norm(drawn.error[:, axes], axis=1)
            known = np.flatnonzero(np.isfinite(size) & np.isfinite(x))
            order = known[np.argsort(x[known])]
            if not len(order):
                continue
            made.append({
                "id": f"{kind} {name}",
                "name": name,
                "unit": unit,
                "label": label,
                "xUnit": x_unit,
                "x": _packed(x[order]),
                "size": _packed(size[order]),
                "frames": [str(drawn.frames[k]) for k in order] if drawn.frames else None,
            })  # fmt: skip
    return made


def _consistency(used: MatchedSeries) -> dict[str, Any] | None:
    """Return which share of errors lies within the interval of each share; None without sigma."""
    if used.sigma is None or not _has_sigma(used):
        return None
    shares = np.linspace(0.02, 0.98, 49)
    reach = np.array([NormalDist().inv_cdf((1 + share) / 2) for share in shares])
    ratio = np.abs(used.error) / used.sigma
    curves = []
    for name, _, axes in _ERRORS:
        known = ratio[:, axes][np.isfinite(ratio[:, axes])]
        if len(known):
            within = np.searchsorted(np.sort(known), reach, side="right") / len(known)
            curves.append({"name": name, "within": _packed(within)})
    return {"shares": _packed(shares), "curves": curves} if curves else None


def _is_known(matched: MatchedSeries, axis: int) -> bool:
    return bool(np.isfinite(matched.error[:, axis]).any())
