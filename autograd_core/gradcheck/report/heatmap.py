"""Heat maps of the error per element, one per wrong argument: SVG without any library, PNG with matplotlib.

Colour is the error's order of magnitude, in viridis, which grows lighter with the error and so reads in grey too; elements
whose error is beyond the bound are hatched.
"""

from __future__ import annotations

import html
import math
import os
from typing import Any

import numpy as np

__all__ = ["as_html", "as_svg", "write"]

# Nine colours of the viridis map; between them, straight lines.
VIRIDIS = ("440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725")
MOST_CELLS = 4096
CELL, GAP, LEGEND = 22, 14, 120


def maps_of(report: Any) -> list[Any]:
    """The findings and warnings that have errors per element."""
    return [f for f in [*report.findings, *report.warnings] if f.errors is not None and 0 < f.errors.size <= MOST_CELLS]


def write(report: Any, path: str | os.PathLike[str]) -> None:
    """Write the maps of `report` to a file.

    raises : ValueError for an ending other than .svg and .png, ImportError where matplotlib is missing for a .png
    """
    name = os.fspath(path)
    if name.endswith(".svg"):
        with open(name, "w", encoding="utf-8") as file:
            file.write(as_svg(report))
    elif name.endswith(".png"):
        _write_png(report, name)
    else:
        raise ValueError(f"plot: {name!r} must end with .svg or .png")


def as_grid(errors: Any) -> Any:
    """Errors as a matrix: leading axes one below the other."""
    return errors.reshape(1, -1) if errors.ndim < 2 else errors.reshape(-1, errors.shape[-1])


def orders(finding: Any) -> tuple[Any, float, float]:
    """The errors' decimal logarithms as a matrix, and the range of the colours."""
    grid = as_grid(np.asarray(finding.errors, dtype=float))
    finite = grid[np.isfinite(grid) & (grid > 0)]
    low = math.floor(math.log10(finite.min())) if finite.size else -16
    high = math.ceil(math.log10(finite.max())) if finite.size else 0
    high = max(high, low + 1)
    with np.errstate(divide="ignore"):
        logs = np.where(np.isfinite(grid), np.log10(np.where(grid > 0, grid, 10.0**low)), high)
    return np.clip(logs, low, high), low, high


def color_of(share: float) -> str:
    """The colour at a place between 0 and 1 of the map, as #rrggbb."""
    place = min(max(share, 0.0), 1.0) * (len(VIRIDIS) - 1)
    k = min(int(place), len(VIRIDIS) - 2)
    one, two = (np.array([int(VIRIDIS[j][i : i + 2], 16) for i in (0, 2, 4)]) for j in (k, k + 1))
    mixed = one + (two - one) * (place - k)
    return "#" + "".join(f"{round(float(v)):02x}" for v in mixed)


def as_svg(report: Any) -> str:
    """All maps of the report below each other, as one SVG document."""
    parts: list[str] = []
    top, width = GAP, 360
    for finding in maps_of(report):
        drawn, height, needed = _one_map(finding, top)
        parts += drawn
        top += height + 2 * GAP
        width = max(width, needed)
    if not parts:
        parts.append(f'<text x="{GAP}" y="{top + 12}">{html.escape(report.name)}: no element is wrong</text>')
        top += 30
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}" role="img" '
        f'aria-label="{html.escape(f"gradcheck of {report.name}: error per element")}" font-family="sans-serif" font-size="12">'
    )
    hatch = (
        '<defs><pattern id="wrong" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<line x1="0" y1="0" x2="0" y2="6" stroke="#fff" stroke-width="2.4"/><line x1="0" y1="0" x2="0" y2="6" stroke="#000"/></pattern></defs>'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', hatch, *parts, "</svg>", ""])


def _one_map(finding: Any, top: int) -> tuple[list[str], int, int]:
    logs, low, high = orders(finding)
    grid = as_grid(np.asarray(finding.errors, dtype=float))
    rows, columns = logs.shape
    cell = max(4, min(CELL, 640 // max(rows, columns)))
    title = f"{finding.argument} {tuple(finding.errors.shape)}: |given - expected|, {finding.variation}"
    parts = [f'<text x="{GAP}" y="{top + 12}">{html.escape(title)}</text>']
    y0 = top + 2 * GAP
    for i in range(rows):
        for j in range(columns):
            x, y = GAP + j * cell, y0 + i * cell
            square = f'x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}"'
            label = f"<title>element {i * columns + j}: {grid[i, j]:.3g}</title>"
            parts.append(f'<rect {square} fill="{color_of((logs[i, j] - low) / (high - low))}">{label}</rect>')
            if not grid[i, j] <= _limit(finding):
                parts.append(f'<rect {square} fill="url(#wrong)" pointer-events="none"/>')
    right = GAP + columns * cell + GAP
    for k in range(9):
        y = y0 + k * 12
        parts.append(f'<rect x="{right}" y="{y}" width="14" height="12" fill="{color_of(1 - k / 8)}"/>')
    parts.append(f'<text x="{right + 20}" y="{y0 + 10}">1e{int(high)}</text><text x="{right + 20}" y="{y0 + 106}">1e{int(low)}</text>')
    parts.append(f'<rect x="{right + 62}" y="{y0}" width="14" height="12" fill="url(#wrong)" stroke="#000"/>')
    parts.append(f'<text x="{right + 82}" y="{y0 + 10}">wrong</text>')
    return parts, 2 * GAP + max(rows * cell, 112), right + LEGEND + 20


def _limit(finding: Any) -> float:
    """An error above which an element counts as wrong."""
    finite = np.asarray(finding.errors)[np.isfinite(finding.errors)]
    bound = finding.bound if finding.bound and np.isfinite(finding.bound) else 0.0
    return max(float(bound), 1e-7 * float(finite.max(initial=0.0)))


def as_html(report: Any) -> str:
    """The report for a notebook: its text, and the maps."""
    maps = as_svg(report) if maps_of(report) else ""
    return f'<pre style="white-space:pre-wrap">{html.escape(report.text(color=False))}</pre>{maps}'


def _write_png(report: Any, name: str) -> None:
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle
    except ImportError:
        raise ImportError('plot: a .png needs matplotlib: pip install "autograd-core[viz]"; a .svg needs nothing') from None
    findings = maps_of(report)
    figure = Figure(figsize=(6.4, 0.6 + 2.6 * max(1, len(findings))), layout="constrained")
    for k, finding in enumerate(findings):
        axes = figure.add_subplot(len(findings), 1, k + 1)
        logs, low, high = orders(finding)
        grid = as_grid(np.asarray(finding.errors, dtype=float))
        image = axes.imshow(logs, cmap="viridis", vmin=low, vmax=high, aspect="auto" if logs.shape[0] < 3 else "equal")
        for i, j in np.argwhere(~(grid <= _limit(finding)))[:2000]:
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, hatch="////", edgecolor="black", linewidth=0))
        axes.set_title(f"{finding.argument} {tuple(finding.errors.shape)}, {finding.variation}", fontsize=10)
        figure.colorbar(image, ax=axes, label="log10 |given - expected|")
    if not findings:
        figure.text(0.05, 0.5, f"{report.name}: no element is wrong")
    figure.savefig(name, dpi=120)
