"""The tables of an evaluation, as a terminal and a report show them: with units, nothing empty."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from rich.table import Table as RichTable
from rich.text import Text

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import UNITS, VELOCITIES
from blur_imu_ros.evaluation.metrics import ErrorBin, Evaluation

WITH_UNITS = tuple(f"{name} [{unit}]" for name, unit in zip(VELOCITIES, UNITS, strict=True))

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Headings and rows of text, the first column names.

    Attributes:
        title: what the table shows.
        headings: of the columns, with units.
        rows: cells; an empty one is not known.
    """

    title: str
    headings: Row
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, title: str, headings: Iterable[str], rows: Iterable[Row]) -> Table:
        """Return a table without the columns, and without the rows, of which nothing is known."""
        kept = [row for row in rows if any(row[1:])]
        known = [k == 0 or any(row[k] for row in kept) for k in range(len(tuple(headings)))]

        def shown(row: Iterable[str]) -> Row:
            return tuple(cell for cell, wanted in zip(row, known, strict=True) if wanted)

        return cls(title, shown(headings), tuple(map(shown, kept)))

    def for_terminal(self) -> RichTable:
        """Return what rich prints."""
        table = RichTable(title=self.title, title_justify="left")
        for place, heading in enumerate(self.headings):
            # Names and units share a narrow column on two lines.
            # As Text: in a plain string rich takes [rad/s] for a style.
            label = Text(heading.replace(" [", "\n["))
            longest = max((len(w) for row in self.rows for w in row[0].split()), default=1)
            table.add_column(
                label, justify="right" if place else "left", min_width=1 if place else longest
            )
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table


def tables_of(result: Evaluation) -> list[Table]:
    """Return all tables, none of them empty."""
    tables = [error_table(result), consistency_table(result)]
    tables.append(_binned("errors by angular speed", "true |w| [rad/s]", result.by_speed))
    blur = "motion blur [px of the network's view]"
    tables.append(_binned("errors by motion blur", blur, result.by_blur))
    return [table for table in tables if table.rows]


def error_table(result: Evaluation) -> Table:
    """Return the errors of each axis, rad/s and m/s."""
    rows = [
        ("RMSE", *map(number, result.rmse)),
        ("RMSE of each image alone, without its neighbours", *map(number, result.rmse_single)),
        ("RMSE of the zero-velocity baseline", *map(number, result.zero_rmse)),
        ("mean absolute error", *map(number, result.mae)),
    ]
    if result.invalid:
        rows.insert(1, ("RMSE with the invalid rows", *map(number, result.rmse_all_rows)))
    return Table.of("errors", ("", *WITH_UNITS), rows)


def consistency_table(result: Evaluation) -> Table:
    """Return what has no unit: correlation, and whether errors are as large as sigma says."""
    rows = [
        ("correlation with the ground truth", *map(number, result.correlation)),
        ("NEES / degrees of freedom (1 is consistent)", *map(number, result.nees_axes)),
        ("errors within 1 sigma [%] (68 is consistent)", *map(percent, result.coverage[0])),
        ("errors within 2 sigma [%] (95 is consistent)", *map(percent, result.coverage[1])),
    ]
    return Table.of("agreement and consistency", ("", *VELOCITIES), rows)


def _binned(title: str, heading: str, bins: Iterable[ErrorBin]) -> Table:
    rows = [
        (
            f"{b.low:g} to {b.high:g}" if np.isfinite(b.high) else f"over {b.low:g}",
            f"{b.rows}",
            *map(number, b.rmse),
        )
        for b in bins
    ]
    return Table.of(title, (heading, "frames", "RMSE w [rad/s]", "RMSE v [m/s]"), rows)


def rmse_row(name: str, rmse: Array) -> Row:
    """Return a row of a table of methods."""
    return (name, *map(number, rmse))


def number(x: float) -> str:
    """Return two decimals, or nothing for what is not known."""
    return f"{x:.2f}" if np.isfinite(x) else ""


def percent(share: float) -> str:
    """Return a share in per cent, or nothing for what is not known."""
    return f"{100 * share:.0f}" if np.isfinite(share) else ""
