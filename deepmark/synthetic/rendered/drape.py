"""How far cloth stands from the body: pushed out along its normals, then hanging from its widest places."""

from dataclasses import dataclass

import numpy as np

from deepmark.shapes import Float
from deepmark.synthetic.rendered.chart import Chart

_AROUND, _STEP = 32, 0.02
"""Cells around an axis, and metres of a cell along it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hang:
    """How cloth falls on one part of the body; lengths are metres."""

    top: float
    """The height below which it hangs."""

    slope: float
    """Metres that the radius grows in a metre of falling; where it is negative, the cloth follows the body again."""

    ease: float
    """What it stands off."""

    folds: float = 0.0
    """Height of the folds at the lower end."""

    waves: int = 7
    phase: float = 0.0


def hung_radius(chart: Chart, hang: Hang, below: tuple[Float[np.ndarray, "_ 3"], ...]) -> Float[np.ndarray, " n"]:
    """The radius of every vertex of a chart when it hangs over what lies `below`: heights, angles and radii."""
    under = np.concatenate(below)
    top, bottom = float(chart.height.max()), float(chart.height.min())
    rows = int((top - bottom) / _STEP) + 2
    widest = _widest(under, top, rows)
    wanted = np.empty_like(widest)
    for row in range(rows):
        wanted[row] = widest[row] + hang.ease
        if row and top - row * _STEP < hang.top:
            wanted[row] = np.maximum(wanted[row], wanted[row - 1] + hang.slope * _STEP)
    radius = _looked_up(wanted, (top - chart.height) / _STEP, chart.angle)
    if hang.folds:
        fallen = np.clip((hang.top - chart.height) / max(hang.top - bottom, 1e-6), 0, 1)
        bent = chart.angle + 0.35 * np.sin(2 * chart.angle + 2.3 * hang.phase)
        radius += hang.folds * fallen**1.5 * (1 + np.sin(hang.waves * bent + hang.phase))
    return radius


def _widest(under: Float[np.ndarray, "n 3"], top: float, rows: int) -> Float[np.ndarray, "rows around"]:
    """The largest radius in every cell, convex around the axis; empty cells are as their neighbours."""
    row = np.rint((top - under[:, 0]) / _STEP).astype(int)
    column = np.rint(under[:, 1] / (2 * np.pi) * _AROUND).astype(int) % _AROUND
    grid = np.zeros((rows, _AROUND))
    inside = (row >= 0) & (row < rows)
    np.maximum.at(grid, (row[inside], column[inside]), under[inside, 2])
    for _ in range(4):
        grid = np.where(grid > 0, grid, np.maximum(np.roll(grid, 1, 1), np.roll(grid, -1, 1)))
    hull = 1 / np.cos(2 * np.pi / _AROUND)
    for _ in range(6):
        grid = np.maximum(grid, (np.roll(grid, 1, 1) + np.roll(grid, -1, 1)) / 2 / hull)
    for row_number in range(1, rows):
        if not grid[row_number].any():
            grid[row_number] = grid[row_number - 1]
    padded = np.pad(grid, ((1, 1), (0, 0)), mode="edge")
    return (padded[:-2] + 2 * grid + padded[2:]) / 4


def _looked_up(grid: np.ndarray, row: Float[np.ndarray, " n"], angle: Float[np.ndarray, " n"]) -> np.ndarray:
    row = np.clip(row, 0, len(grid) - 1.001)
    column = (angle / (2 * np.pi) * _AROUND) % _AROUND
    r0, c0 = np.floor(row).astype(int), np.floor(column).astype(int) % _AROUND
    dr, dc = row - r0, column - np.floor(column)
    c1 = (c0 + 1) % _AROUND
    upper = grid[r0, c0] * (1 - dc) + grid[r0, c1] * dc
    lower = grid[r0 + 1, c0] * (1 - dc) + grid[r0 + 1, c1] * dc
    return upper * (1 - dr) + lower * dr
