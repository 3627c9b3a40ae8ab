"""What `blur-imu evaluate` says beside its tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from blur_imu_ros.evaluation.alignment import Alignment
from blur_imu_ros.evaluation.metrics import CLEAR_TURN, Evaluation

NO_EXPOSURE_FITS = "no exposure time fits: the rotations do not match the ground truth"


def agreement_remarks(result: Evaluation, doubt_axes: bool) -> Iterator[str]:
    """Yield how many rows were compared, how many signs are right, and, with `doubt_axes`, why the
    ground truth may be in other axes."""
    yield (
        f"{result.rows} rows compared; {result.invalid} not valid, {result.outside} outside the "
        "time of the ground truth"
    )
    yield sign_remark(result)
    if result.doubt and doubt_axes:
        yield f"{result.doubt}: different axes or clocks? --truth-axes found estimates them"


def sign_remark(result: Evaluation) -> str:
    """Return in words how many signs are right."""
    if not result.clear_rows:
        return f"sign accuracy: no row rotates faster than {CLEAR_TURN:g} rad/s"
    return (
        f"sign accuracy {result.right_signs:.1%} of the {result.clear_rows} rows that rotate "
        f"faster than {CLEAR_TURN:g} rad/s"
    )


def exposure_remark(
    result: Evaluation, scale: float, exposure_time: float | None, applied: bool
) -> str:
    """Return the exposure time that fits best: `scale` times the one that was assumed (s), and
    whether it is applied."""
    if np.isnan(scale):
        return NO_EXPOSURE_FITS
    fitted = f"x {scale:.3f}"
    if exposure_time is not None:
        fitted += f" = {exposure_time * scale * 1e3:.2f} ms"
    alone = " (of each image alone)" if np.isfinite(result.rmse_single).any() else ""
    return f"exposure that fits best{alone}: {fitted}{', applied' if applied else ''}"


def consistency_remarks(result: Evaluation) -> Iterator[str]:
    """Yield the NEES, where the estimate has standard deviations."""
    named = zip(result.nees, "wv", strict=True)
    values = ", ".join(f"{x:.2f} ({name})" for x, name in named if np.isfinite(x))
    if values:
        yield (
            f"NEES over its degrees of freedom {values}, from the standard deviations; "
            "1 is consistent, more is overconfident"
        )


def offset_remark(result: Evaluation, found: Alignment | None, given: float | None) -> str:
    """Return the time offset: the one that was found or given and applied, or that would fit."""
    if found is not None:
        offset, std = found.time_offset, 1e3 * found.time_offset_std
        text = f"{1e3 * offset:+.2f} +- {std:.2f} ms" if abs(offset) < 1 else f"{offset:+.4f} s"
        return f"time offset {text} (to add to the estimate's time; found and applied)"
    if given is not None:
        rest = f"{result.time_offset * 1e3:+.1f} ms"
        return f"time offset {given:+.4f} s (given and applied; {rest} more would fit best)"
    text = f"{result.time_offset * 1e3:+.1f} ms"
    return f"time offset {text} (to add to the estimate's time; would fit best, not applied)"


def latency_remarks(latency: dict[str, float] | None) -> Iterator[str]:
    """Yield median and 95th percentile (s) of the latency, where that is known."""
    if latency is not None:
        median, p95 = (1e3 * latency[name] for name in ("median", "p95"))
        yield f"latency from stamp to recording: median {median:.0f} ms, 95 % within {p95:.0f} ms"


def alignment_remarks(found: Alignment, linear: str) -> Iterator[str]:
    """Yield the rotation that was found, and a word on the linear velocity, if there is one."""
    rows = "; ".join(" ".join(f"{x:+.4f}" for x in row) for row in found.rotation)
    tilt = " ".join(f"{x:.2f}" for x in np.degrees(found.rotation_std))
    yield f"found: rotation from ground truth to camera [{rows}] +- {tilt} degrees, applied"
    yield f"rotation found from {found.rows} rows, correlation {found.correlation:.3f}"
    if linear:
        yield f"found: linear velocity of the ground truth {linear}"
