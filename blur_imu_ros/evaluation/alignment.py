"""Extrinsic rotation and time offset of a camera and a gyroscope, from what both measured.

The model, for the camera's angular velocity e as estimated at time t, and the gyroscope's g:

    e(t) = k R (g(t + offset) - b)

R takes the gyroscope's axes to the camera's, b is the gyroscope's bias and k how much too fast all
estimates are, which is the true exposure time over the one assumed. R and the offset start from the
best of a search (Wahba's problem, solved at every offset), if it is clearly the best; then all are
refined together by robust least squares. That trusts the frames that hardly turn, whose errors are
small: right for the bias, but short blur is misread by another factor than long blur. So k is
fitted once more by itself, with each error judged against the one that its estimate states, which
leaves fast turns their say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.evaluation.metrics import DEGREES, truth_at
from blur_imu_ros.evaluation.time_offset import SAME_PLACE, Place, fitting_places

FEWEST_ROWS = 30
LEAST_TURN = 0.2
"""rad/s, standard deviation about some axis. Slower turns say nothing about a rotation."""
LEAST_SPREAD = 0.05
"""Turn about the second axis as a share of that about the first, without which R is not known."""
LEAST_AGREEMENT = 0.7
"""Correlation below which the series may be of different motions: chance reaches 0.6 in 20 s."""
LEAST_FAR_AGREEMENT = 0.8
"""The same where the clocks do not agree: there are more places at which chance may reach it."""
REACH = 0.5
"""Seconds that clocks may differ that are said to agree."""
EPOCH = 1e8
"""Seconds; clocks beyond it count from the same moment, or do not count from their own start."""
ALONE_STD, ALONE_SHARE = 0.3, 0.12
"""Standard deviation of one image about each axis: rad/s or m/s at rest, and a share of the
speed."""
LONGEST_INTERVAL = 0.5
"""Seconds between the rows of a ground truth."""
SEARCH_STEP = 0.005
"""Seconds between the offsets that are tried."""
_SEARCH_ROWS = 5000
_STEPS = 20
_LONGEST_BLOCK = 1.0
"""Seconds over which errors may depend on each other."""
_FEWEST_BLOCKS = 20


@dataclass(frozen=True)
class Alignment:
    """The model's parameters, each with its standard deviation.

    Attributes:
        rotation: (3, 3) R, takes the gyroscope's axes to the camera's.
        rotation_std: (3,) about the camera's axes, rad.
        time_offset: seconds to add to the camera's clock to get the gyroscope's.
        time_offset_std: seconds.
        bias: (3,) of the gyroscope, in its own axes, rad/s.
        bias_std: (3,) rad/s.
        exposure_scale: true over assumed exposure time, by single images.
        exposure_scale_std: of that.
        correlation: of the angular velocities at the best offset of the search; 1 is perfect.
        rows: how many estimates took part.
    """

    rotation: Array
    rotation_std: Array
    time_offset: float
    time_offset_std: float
    bias: Array
    bias_std: Array
    exposure_scale: float
    exposure_scale_std: float
    correlation: float
    rows: int


@dataclass(frozen=True)
class _Model:
    """The parameters while they are refined."""

    scale: float
    offset: float
    rotation: Array
    bias: Array

    def moved(self, step: Array) -> _Model:
        """Return the model after a step (8,) in scale, offset, rotation vector and bias."""
        turn = Rotation.from_rotvec(step[2:5]).as_matrix()
        return _Model(
            self.scale + step[0], self.offset + step[1], turn @ self.rotation, self.bias + step[5:]
        )


def align(
    estimate: VelocitySeries,
    truth: VelocitySeries,
    exposure_time: float | None = None,
    near: float | None = None,
) -> Alignment:
    """Return rotation, time offset and scale of the camera of `estimate` against a gyroscope.

    Args:
        estimate: angular velocities in optical axes; the valid rows take part.
        truth: of the gyroscope, in its own axes and on its own clock.
        exposure_time: seconds; dense truth is averaged over it.
        near: time offset (s) that is known to `REACH`; None searches the whole truth.

    Raises:
        RecordingError: the data do not decide it; the message says why.
    """
    truth = _known(truth)
    used = estimate.valid & np.isfinite(estimate.velocity[:, :3]).all(axis=1)
    t, omega = estimate.t[used], estimate.velocity[used, :3]
    alone = each_image_alone(estimate)
    spread = expected_error(alone.sigma, slice(0, 3), len(used))[used]
    blurred = alone.velocity[used, :3]
    if len(t) < FEWEST_ROWS:
        cure = "record longer"
        if len(used) >= FEWEST_ROWS:
            cure = f"{len(used)} were made; run says why the others are not valid"
        raise RecordingError(
            f"there are only {len(t)} valid estimates; {FEWEST_ROWS} are needed: {cure}"
        )
    _check_units(truth)
    far = _placed(t, omega, truth, near).offset
    truth = replace(truth, t=truth.t - far)
    offset, rotation, correlation = _search(t, omega, truth, SAME_PLACE)
    kept = _covered(t, truth, offset, 0.1 + (exposure_time or 0.0) / 2)
    t, omega, spread, blurred = t[kept], omega[kept], spread[kept], blurred[kept]
    gyro = truth_at(truth, t + offset, exposure_time)
    _check_motion(gyro)
    energy = max(float(np.sum(gyro * gyro)), 1e-12)
    scale = float(np.sum(omega * (gyro @ rotation.T))) / energy
    start = _Model(scale, offset, rotation, np.zeros(3))
    model, covariance = _refine(start, t, omega, truth, exposure_time)
    turned = (truth_at(truth, t + model.offset, exposure_time) - model.bias) @ model.rotation.T
    scale, scale_std = fitted_ratio(t, blurred, turned, spread)
    _check_rates(scale)
    found = _described(replace(model, offset=far + model.offset), covariance, correlation, len(t))
    return replace(found, exposure_scale=scale, exposure_scale_std=scale_std)


def each_image_alone(estimate: VelocitySeries) -> VelocitySeries:
    """Return the single-image measurements: only these depend on the exposure time.

    The estimate has no standard deviations of single images, so typical ones are used.
    """
    if estimate.single is None:
        return estimate
    agree = np.sum(estimate.single[:, :3] * estimate.velocity[:, :3], axis=1, keepdims=True)
    velocity = np.where(agree < 0, -1.0, 1.0) * estimate.single
    speeds = [np.linalg.norm(velocity[:, k : k + 3], axis=1, keepdims=True) for k in (0, 3)]
    sigma = np.hstack([np.repeat(np.hypot(ALONE_STD, ALONE_SHARE * s), 3, axis=1) for s in speeds])
    return replace(estimate, velocity=velocity, sigma=sigma, single=None)


def _known(truth: VelocitySeries) -> VelocitySeries:
    """Return the rows of the ground truth that hold an angular velocity, with nothing else."""
    known = truth.valid & np.isfinite(truth.velocity[:, :3]).all(axis=1)
    if known.sum() < FEWEST_ROWS:
        raise RecordingError(
            f"the ground truth has {known.sum()} usable rows; {FEWEST_ROWS} are needed"
        )
    return VelocitySeries(truth.t[known], truth.velocity[known, :3], None, truth.valid[known])


def _check_units(truth: VelocitySeries) -> None:
    """Refuse a ground truth whose time can hardly be seconds."""
    interval = float(np.median(np.diff(truth.t)))
    if interval > LONGEST_INTERVAL:
        raise RecordingError(
            f"the ground truth has a row every {interval:g} s, too few to follow a motion: is its "
            "time in seconds? If not, give the unit: ms, us or ns",
            cures=("truth_unit",),
        )


def _check_rates(scale: float) -> None:
    """Refuse a ground truth that turns so many times faster than the camera that it is in
    degrees."""
    if 0 < scale * DEGREES < 1:
        raise RecordingError(
            f"the ground truth turns {1 / scale:.0f} times as fast as the camera: is it in degrees "
            "per second? Then give the unit deg",
            cures=("truth_unit",),
        )


def _placed(t: Array, omega: Array, truth: VelocitySeries, near: float | None) -> Place:
    """Return where the recording lies in the ground truth, if it fits one place clearly better than
    others.

    Places near an offset that is known are preferred to others that fit alike, and so are those
    near zero where both clocks count from the same epoch, for these agree roughly.
    """
    places = fitting_places(t, omega, truth.t, truth.velocity)
    best = places[0] if places else Place(near or 0.0, 0.0, 0.0)
    agree = abs(best.offset - (near or 0.0)) <= REACH
    if best.correlation < (LEAST_AGREEMENT if agree else LEAST_FAR_AGREEMENT):
        reversed_places = fitting_places(t, -omega, truth.t, truth.velocity)
        if reversed_places and reversed_places[0].correlation >= LEAST_FAR_AGREEMENT:
            raise RecordingError(
                "the angular velocities agree only if all signs of one of them are reversed "
                f"(correlation {reversed_places[0].correlation:.2f}, otherwise "
                f"{best.correlation:.2f}): are the axes of the ground truth left-handed? Then "
                "change the signs of its three columns"
            )
        raise RecordingError(
            "the angular velocities hardly agree at any time offset (best correlation "
            f"{best.correlation:.2f}, at {best.offset:+.2f} s): are they of the same motion, and "
            "are the signs decided, and is the frame rate right? A wrong exposure time makes it "
            "worse"
        )
    alike = [place for place in places if place.rivals(best)]
    if near is not None or (len(alike) > 1 and min(t[0], truth.t[0]) > EPOCH):
        middle = near or 0.0
        between = (middle - REACH, middle + REACH)
        close = fitting_places(t, omega, truth.t, truth.velocity, between)
        alike = [place for place in close if place.rivals(best)] or alike
    if len(alike) > 1:
        listed = ", ".join(f"{p.offset:+.2f} s ({p.correlation:.2f})" for p in alike)
        raise RecordingError(
            "the motion fits the ground truth equally well at several time offsets (correlation): "
            f"{listed}. Give the offset if you know it to a fraction of a second, or record a "
            "motion that does not repeat itself",
            cures=("time_offset",),
        )
    if near is not None and abs(alike[0].offset - near) > REACH:
        raise RecordingError(
            f"the motion fits the ground truth clearly better at {alike[0].offset:+.2f} s than "
            f"anywhere near the time offset given, {near:+.2f} s: leave it out, or correct it",
            cures=("time_offset",),
        )
    return alike[0]


def _inside(t: Array, truth: VelocitySeries, margin: float) -> Array:
    """Return which times lie inside the ground truth's, with a margin (s) at both ends."""
    inside = (t >= truth.t[0] + margin) & (t <= truth.t[-1] - margin)
    if inside.sum() < FEWEST_ROWS:
        raise RecordingError(
            f"only {inside.sum()} of {len(t)} valid estimates lie {margin:.2f} s or more inside "
            f"the ground truth's time {truth.t[0]:.3f} to {truth.t[-1]:.3f} s; {FEWEST_ROWS} are "
            "needed. Do the clocks agree? Else record the ground truth longer"
        )
    return np.asarray(inside)


def _covered(t: Array, truth: VelocitySeries, offset: float, margin: float) -> Array:
    """Return which times, moved by the offset, the ground truth covers with a margin (s) on both
    sides."""
    kept = _inside(t, truth, abs(offset) + margin)
    kept &= np.isfinite(truth_at(truth, t + offset, 2 * margin)).all(axis=1)
    if kept.sum() < FEWEST_ROWS:
        raise RecordingError(
            f"only {kept.sum()} of {len(t)} estimates lie outside the ground truth's gaps; "
            f"{FEWEST_ROWS} are needed: record longer, or with a logger that leaves out less"
        )
    return kept


def _check_motion(gyro: Array) -> None:
    """Refuse motions that determine neither rotation nor offset."""
    turns = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(gyro.T)), 0))
    if turns[2] < LEAST_TURN:
        raise RecordingError(
            f"the camera hardly rotates ({turns[2]:.2f} rad/s, {LEAST_TURN} are needed): shake it "
            "about all axes"
        )
    if turns[1] < LEAST_SPREAD * turns[2]:
        raise RecordingError(
            f"the camera rotates about one axis only ({turns[2]:.2f} rad/s, and {turns[1]:.2f} "
            "about the next): the rotation to the gyroscope cannot be determined; rotate it about "
            "two axes"
        )


def _search(
    t: Array, omega: Array, truth: VelocitySeries, reach: float
) -> tuple[float, Array, float]:
    """Return the offset (s) at which one rotation fits best, that rotation, and the correlation."""
    chosen = np.flatnonzero(_inside(t, truth, reach))
    chosen = chosen[:: 1 + len(chosen) // _SEARCH_ROWS]
    t, omega = t[chosen], omega[chosen]
    offsets = np.arange(-round(reach / SEARCH_STEP), round(reach / SEARCH_STEP) + 1) * SEARCH_STEP
    moved = t + offsets[:, None]
    gyro = np.stack([np.interp(moved, truth.t, column) for column in truth.velocity.T], axis=-1)
    omega = omega - omega.mean(axis=0)
    gyro = gyro - gyro.mean(axis=1, keepdims=True)
    rotations, agreement = _wahba(np.einsum("ni,knj->kij", omega, gyro))
    size = np.sqrt(np.sum(omega**2) * np.sum(gyro**2, axis=(1, 2)))
    correlation = agreement / np.maximum(size, 1e-12)
    best = int(np.argmax(correlation))
    return float(offsets[best]), rotations[best], float(correlation[best])


def _wahba(products: Array) -> tuple[Array, Array]:
    """Return the rotations (k, 3, 3) of largest trace(R^T B) for B (k, 3, 3), and these traces."""
    u, s, vt = np.linalg.svd(products)
    s[:, 2] *= np.linalg.det(u) * np.linalg.det(vt)
    u[:, :, 2] *= (np.linalg.det(u) * np.linalg.det(vt))[:, None]
    return u @ vt, s.sum(axis=1)


def _refine(
    model: _Model, t: Array, omega: Array, truth: VelocitySeries, exposure_time: float | None
) -> tuple[_Model, Array]:
    """Return the model that fits robustly best, and the (8, 8) covariance of its parameters."""
    for _ in range(_STEPS):
        rows, residual = _linearised(model, t, omega, truth, exposure_time)
        weights = robust_weights(residual)
        normal = np.einsum("n,nij,nik->jk", weights, rows, rows)
        step = np.linalg.lstsq(
            normal, np.einsum("n,nij,ni->j", weights, rows, residual), rcond=None
        )[0]
        model = model.moved(step)
        if np.max(np.abs(step)) < 1e-9:
            break
    rows, residual = _linearised(model, t, omega, truth, exposure_time)
    return model, block_covariance(t, rows, residual, robust_weights(residual))


def _linearised(
    model: _Model, t: Array, omega: Array, truth: VelocitySeries, exposure_time: float | None
) -> tuple[Array, Array]:
    """Return the derivatives (n, 3, 8) of the model, and what it leaves of omega (n, 3)."""
    half = max(1e-3, float(np.median(np.diff(truth.t))) / 2)
    at = t + model.offset
    gyro, before, after = (
        truth_at(truth, at + shift, exposure_time) for shift in (0.0, -half, half)
    )
    turned = (gyro - model.bias) @ model.rotation.T
    slope = (after - before) / (2 * half) @ model.rotation.T
    x, y, z = turned.T
    zero = np.zeros_like(x)
    # phi x a, column by column: the model's answer to a small turn phi of R.
    crossed = np.stack([zero, z, -y, -z, zero, x, y, -x, zero], axis=1).reshape(-1, 3, 3)
    biases = np.broadcast_to(-model.scale * model.rotation, (len(t), 3, 3))
    columns = [turned[..., None], model.scale * slope[..., None], model.scale * crossed, biases]
    return np.concatenate(columns, axis=2), omega - model.scale * turned


def fitted_ratio(t: Array, seen: Array, true: Array, spread: Array) -> tuple[float, float]:
    """Return k of seen = k true, both (n, m) at times t, and its standard deviation.

    Rows are left out as far as their errors exceed the `spread` (n, 1) that was expected of them.
    """
    ratio, weights = 0.0, np.ones(len(t))
    for _ in range(_STEPS):
        ratio = float(np.sum(weights[:, None] * seen * true) / np.sum(weights[:, None] * true**2))
        weights = robust_weights((seen - ratio * true) / spread)
    covariance = block_covariance(t, true[..., None], seen - ratio * true, weights)
    return ratio, float(np.sqrt(covariance[0, 0]))


def expected_error(sigma: Array | None, columns: slice, rows: int) -> Array:
    """Return (rows, 1) the standard deviation of each row, all alike where one has none."""
    if sigma is None:
        return np.ones((rows, 1))
    spread = np.sqrt(np.mean(sigma[:, columns] ** 2, axis=1, keepdims=True))
    stated = np.isfinite(spread) & (spread > 0)
    return spread if stated.all() else np.ones((rows, 1))


def robust_weights(residual: Array) -> Array:
    """Return (n,) weights by the size of residuals (n, 3): estimates of wrong sign drop out."""
    squared = np.sum(residual**2, axis=1)
    return np.asarray(1 / (1 + squared / max(2 * float(np.median(squared)), 1e-18)) ** 2)


def block_covariance(t: Array, rows: Array, residual: Array, weights: Array) -> Array:
    """Return the (p, p) covariance of p parameters fitted with robust weights.

    Errors of neighbouring frames resemble each other, so the scores are summed over blocks before
    their spread is taken; where that is less than independent errors would give, these count.
    """
    # How the robust scores change with the parameters, averaged over the residuals' directions.
    slope = weights * (4 * np.sqrt(weights) - 1) / 3
    inverse = np.linalg.pinv(np.einsum("n,nij,nik->jk", slope, rows, rows), hermitian=True)
    scores = np.einsum("n,nij,ni->nj", weights, rows, residual)
    length = min(_LONGEST_BLOCK, (t[-1] - t[0]) / _FEWEST_BLOCKS)
    block = np.floor((t - t[0]) / max(length, 1e-9)).astype(int)
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    blocks = np.add.reduceat(scores, starts, axis=0)
    independent = inverse @ (scores.T @ scores) @ inverse
    clustered = inverse @ (blocks.T @ blocks) @ inverse
    larger = np.maximum(np.diag(independent), np.diag(clustered))
    shape = np.sqrt(larger / np.maximum(np.diag(clustered), 1e-300))
    return np.asarray(clustered * np.outer(shape, shape))


def _described(model: _Model, covariance: Array, correlation: float, rows: int) -> Alignment:
    std = np.sqrt(np.maximum(np.diag(covariance), 0))
    return Alignment(
        rotation=model.rotation,
        rotation_std=std[2:5],
        time_offset=float(model.offset),
        time_offset_std=float(std[1]),
        bias=model.bias,
        bias_std=std[5:],
        exposure_scale=float(model.scale),
        exposure_scale_std=float(std[0]),
        correlation=correlation,
        rows=rows,
    )


def in_camera(
    truth: VelocitySeries, found: Alignment, linear_rotated: bool = True
) -> VelocitySeries:
    """Return a gyroscope's series in the camera's axes and on the camera's clock.

    Linear velocity, where there is one, is taken to be in the gyroscope's axes as well, or else,
    not `linear_rotated`, in the camera's already.
    """
    angular, linear = truth.velocity[:, :3] @ found.rotation.T, truth.velocity[:, 3:]
    turned = np.hstack([angular, linear @ found.rotation.T if linear_rotated else linear])
    return VelocitySeries(truth.t - found.time_offset, turned, None, truth.valid)


def with_linear(
    estimate: VelocitySeries, truth: VelocitySeries, found: Alignment, exposure_time: float | None
) -> tuple[VelocitySeries, str]:
    """Return `in_camera` with the linear velocity in the axes by which it agrees, and these in
    words.

    Some loggers know it in the camera's axes; the words are empty where there is none.
    """
    turned, left = (in_camera(truth, found, flag) for flag in (True, False))
    agreements = [_linear_agreement(estimate, series, exposure_time) for series in (turned, left)]
    if np.isnan(agreements).any():
        return turned, ""
    correlations = ", ".join(f"{x:.2f}" for x in agreements)
    if agreements[0] >= agreements[1]:
        return (
            turned,
            f"taken to be in the gyroscope's axes, not the camera's (correlations {correlations})",
        )
    correlations = ", ".join(f"{x:.2f}" for x in agreements[::-1])
    return (
        left,
        f"taken to be in the camera's axes, not the gyroscope's (correlations {correlations})",
    )


def _linear_agreement(
    estimate: VelocitySeries, truth: VelocitySeries, exposure_time: float | None
) -> float:
    """Return the correlation of linear velocities, NaN where there are hardly any."""
    true = truth_at(truth, estimate.t, exposure_time)[:, 3:]
    seen = estimate.velocity[:, 3:]
    used = estimate.valid & np.isfinite(true + seen).all(axis=1)
    size = float(np.sqrt(np.sum(seen[used] ** 2) * np.sum(true[used] ** 2)))
    return float(np.sum(seen[used] * true[used])) / size if used.sum() > 2 and size > 0 else np.nan
