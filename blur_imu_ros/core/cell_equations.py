"""What the cells of a blur field say of the motion: two equations each, s F = A x.

x = (theta, t) is the motion over the exposure, s = +1 or -1 the cell's unknown sign. Least squares
needs A^T P A and A^T P F of a cell, which are worked out once for all weights and motions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.blur_field import BlurField, cell_centres
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import motion_rows

_PAIRS = np.array(
    [(i, j) for i in range(3) for j in range(i, 3)]
    + [(i, j) for i in range(3) for j in range(3, 6)]
    + [(i, j) for i in range(3, 6) for j in range(i, 6)]
).T
"""(2, 21) the upper triangle of A^T A: of two columns for rotation, of one of each, of two for
translation."""
_WITH_DEPTH, _WITH_DEPTH2 = slice(6, None), slice(15, None)
"""Those that grow with inverse depth, and those that do so with its square."""
_PLACE = np.zeros((6, 6), dtype=int)
_PLACE[_PAIRS[0], _PAIRS[1]] = _PLACE[_PAIRS[1], _PAIRS[0]] = np.arange(_PAIRS.shape[1])
"""Which of them is at each place of A^T A."""
_TIMES = np.where(_PAIRS[0] == _PAIRS[1], 1.0, 2.0)
"""At how many places each is."""


@dataclass(frozen=True)
class CellEquations:
    """The equations of n cells, ready for many weighted solves.

    Attributes:
        ata: (21, n) entries `_PAIRS` of A^T P A of each cell; A in pixels per radian and metre. P
            weighs directions: the precision of F with its determinant made 1; often none, the
            identity.
        atb: (6, n) A^T P F of each cell, its sign open unless `signed`.
        length2: (n,) F^T P F, pixels^2.
        variance: (n,) of each component of F, pixels^2; their geometric mean where P weighs them.
        half_depth_variance: (n,) of the logarithm of depth, halved: its share in each component.
        cells_per_sample: how many cells make one independent measurement.
        information: (6, 6) of the prior, in x.
        information_vector: (6,) information times mean of the prior.
        signed: whether F carries its sign.
    """

    ata: Array
    atb: Array
    length2: Array
    variance: Array
    half_depth_variance: Array
    cells_per_sample: float
    information: Array
    information_vector: Array
    signed: bool

    def sample(self, cells: Array | slice) -> CellEquations:
        """Return the equations of some cells, carrying the information of all."""
        length2 = self.length2[cells]
        return CellEquations(
            self.ata[:, cells],
            self.atb[:, cells],
            length2,
            self.variance[cells],
            self.half_depth_variance[cells],
            self.cells_per_sample * len(length2) / len(self.length2),
            self.information,
            self.information_vector,
            self.signed,
        )

    @property
    def prior_mean(self) -> Array:
        """(6,) of the prior, in x."""
        return np.linalg.solve(self.information, self.information_vector)

    def residuals(self, x: Array) -> tuple[Array, Array, Array]:
        """Return what k motions (k, 6) leave over.

        Returns:
            The sign of each cell, its squared residual, and its squared motion by parallax alone,
            pixels^2; (k, n) each.
        """
        pairs = x[:, _PAIRS[0]] * x[:, _PAIRS[1]] * _TIMES
        # All are squares, but rounding may leave less than nothing of a sum of products.
        parallax2 = np.maximum(pairs[:, _WITH_DEPTH2] @ self.ata[_WITH_DEPTH2], 0)
        agreement = x @ self.atb
        signs = np.ones_like(agreement) if self.signed else np.copysign(1.0, agreement)
        residual2 = pairs @ self.ata + self.length2 - 2 * signs * agreement
        np.maximum(residual2, 0, out=residual2)
        return signs, residual2, parallax2

    def solved(self, scale2: Array, signs: Array, weights: Array, x: Array) -> Array:
        """Return k motions (k, 6) by weighted least squares with the prior, next to motions `x`."""
        weights = weights / (scale2 * self.cells_per_sample)[:, None]
        right = (weights * signs) @ self.atb.T
        right = right + self._prior_signs(x)[:, None] * self.information_vector
        normal = self.normal_matrices(weights) + self.information
        return np.asarray(np.linalg.solve(normal, right[:, :, None])[:, :, 0])

    def normal_matrices(self, weights: Array) -> Array:
        """(k, 6, 6) A^T W A for the weights (k, n) of the cells."""
        return np.asarray((weights @ self.ata.T)[:, _PLACE])

    def prior_cost(self, x: Array) -> Array:
        """(k,) squared Mahalanobis distance of k motions to the prior, halved, up to a constant."""
        squared = np.sum((x @ self.information) * x, axis=1)
        return np.asarray(0.5 * squared - np.abs(x @ self.information_vector))

    def _prior_signs(self, x: Array) -> Array:
        """(k,) under which sign the prior fits k motions (k, 6) better."""
        return np.asarray(np.copysign(1.0, x @ self.information_vector))


def cell_equations(
    field: BlurField, noise_floor_px: float, cells_per_sample: float, prior: tuple[Array, Array]
) -> CellEquations:
    """Return the equations of the cells of a field that show the scene.

    Args:
        field: motion and inverse depth.
        noise_floor_px: standard deviation that is added in every direction, pixels.
        cells_per_sample: how many cells make one independent measurement.
        prior: information and information vector of x, (6, 6) and (6,).
    """
    geometry = _geometry(field.camera, *field.q.shape[:2], field.stride)
    inverse_depth = field.inverse_depth.ravel()
    motion_x, motion_y = weighed_x, weighed_y = field.motion.reshape(-1, 2).T.astype(float)
    floor2 = noise_floor_px**2
    if field.anisotropy is None:
        variance = field.sigma.ravel().astype(float) ** 2 + floor2
        ata = geometry.pairs.copy()
    else:
        variance, (xx, xy, yy) = _weighed_directions(field, floor2)
        weighed_x, weighed_y = xx * motion_x + xy * motion_y, xy * motion_x + yy * motion_y
        ata = xx * geometry.pairs_xx + xy * geometry.pairs_xy + yy * geometry.pairs_yy
    atb = geometry.columns[0] * weighed_x + geometry.columns[1] * weighed_y
    atb[3:] *= inverse_depth
    ata[_WITH_DEPTH] *= inverse_depth
    ata[_WITH_DEPTH2] *= inverse_depth
    information, information_vector = prior
    equations = CellEquations(
        ata=ata,
        atb=atb,
        length2=motion_x * weighed_x + motion_y * weighed_y,
        variance=variance,
        half_depth_variance=field.sigma_log_depth.ravel().astype(float) ** 2 / 2,
        cells_per_sample=cells_per_sample,
        information=information,
        information_vector=information_vector,
        signed=field.signed_motion is not None,
    )
    if field.shown is None:
        return equations
    # The others tell nothing, so the errors of these stay as alike as they are.
    sampled = equations.sample(shown_cells(field))
    return replace(sampled, cells_per_sample=cells_per_sample)


def shown_cells(field: BlurField) -> Array | slice:
    """Return which of the n cells show the scene."""
    return slice(None) if field.shown is None else np.flatnonzero(field.shown)


def motion_of_cells(field: BlurField, x: Array) -> Array:
    """(n, 2) pixels, how the motion x (6,) moves the cells that show the scene."""
    cells = shown_cells(field)
    columns = _geometry(field.camera, *field.q.shape[:2], field.stride).columns[..., cells]
    turned = np.tensordot(columns[:, :3], x[:3], (1, 0))
    nearness = field.inverse_depth.ravel()[cells]
    return np.asarray((turned + np.tensordot(columns[:, 3:], x[3:], (1, 0)) * nearness).T)


@dataclass(frozen=True)
class _Geometry:
    """The equations of a grid of n cells at 1 m.

    Attributes:
        columns: (2, 6, n) A of each.
        pairs: (21, n) `_PAIRS` of A^T A, the sum of what its first row gives and its second.
        pairs_xx, pairs_yy: (21, n) these two.
        pairs_xy: (21, n) what one row gives with the other, both ways.
    """

    columns: Array
    pairs: Array
    pairs_xx: Array
    pairs_xy: Array
    pairs_yy: Array


@lru_cache(maxsize=8)
def _geometry(camera: Camera, rows: int, columns: int, stride: int) -> _Geometry:
    u, v = cell_centres(rows, columns, stride)
    at_1_m = motion_rows(camera, u.ravel(), v.ravel(), np.ones(u.size)).transpose(1, 2, 0)
    one, other = at_1_m[:, _PAIRS[0]], at_1_m[:, _PAIRS[1]]
    pairs = np.sum(one * other, axis=0)
    both_ways = one[0] * other[1] + one[1] * other[0]
    return _Geometry(
        np.ascontiguousarray(at_1_m), pairs, one[0] * other[0], both_ways, one[1] * other[1]
    )


def _weighed_directions(field: BlurField, floor2: float) -> tuple[Array, tuple[Array, ...]]:
    """Return (n,) geometric mean variances of F, and the xx, xy, yy of P, (n,) each, of determinant
    1.

    `floor2` is the variance, pixels^2, that is added in every direction.
    """
    assert field.anisotropy is not None
    a, b = field.anisotropy.reshape(-1, 2).T.astype(float)
    strength = np.maximum(np.hypot(a, b), 1e-12)
    along, across = (sigma.ravel().astype(float) ** 2 + floor2 for sigma in field.principal_sigmas)
    stretch = np.sqrt(along / across)
    even, odd = (stretch + 1 / stretch) / 2, (stretch - 1 / stretch) / 2
    cosine, sine = odd * a / strength, odd * b / strength
    return np.sqrt(along * across), (even - cosine, -sine, even + cosine)
