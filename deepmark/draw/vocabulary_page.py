"""A page with the shape of each category of a vocabulary, its landmarks by number and name, and how exact they are."""

import math
from html import escape

from deepmark.draw.garments import color_of
from deepmark.vocabulary import Category, Vocabulary

_SIDE, _MARGIN = 340, 40
"""Units of the drawing: of the longer side of a shape, and around it."""

_HALF = 2 * math.sqrt(2 * math.log(2))
"""Distance of a landmark at which its similarity (OKS) is 1/2, in sigmas of the square root of the box's area."""

_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.45 system-ui,sans-serif;max-width:1180px;margin:2rem auto;padding:0 1rem}
section{display:flex;flex-wrap:wrap;gap:2rem;align-items:flex-start;border-top:1px solid #8886;padding:1.2rem 0}
h2{width:100%;margin:0}p{max-width:48rem}
svg{flex:none;background:#8881;border-radius:6px}svg text{font-size:12px;fill:currentColor}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{text-align:left;padding:.1rem .9rem .1rem 0}
"""


def vocabulary_page(vocabulary: Vocabulary, generator: str) -> str:
    """The page as HTML that needs no other file; `generator` is the program that its metadata name."""
    count = len(vocabulary.categories)
    title = f"{vocabulary.name}: {count} categor{'y' if count == 1 else 'ies'}, {vocabulary.landmarks} landmarks"
    explanation = (
        "Numbers are those of the landmarks of a category. A dashed line joins a landmark to the one that it becomes "
        "in the mirrored image. The circle around a landmark is as large as its sigma allows: a detection on it "
        "has a similarity (OKS) of 1/2, where the box is that of the drawing."
    )
    sections = "".join(map(_section, vocabulary.categories))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="generator" content="{escape(generator)}"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1><p>{explanation}</p>\n{sections}</body></html>\n"
    )


def _section(category: Category) -> str:
    heading = f"<h2>{category.index + 1}. {escape(category.name)}</h2>"
    drawing = "<p>No drawing.</p>" if category.drawing is None else _drawing(category)
    return f"<section>{heading}{drawing}{_table(category)}</section>\n"


def _table(category: Category) -> str:
    if not category.landmarks:
        return "<p>No landmarks: boxes only.</p>"
    rows = ["<tr><th></th><th>landmark</th><th>mirror</th><th>sigma</th></tr>"]
    for i, (part, mirror, sigma) in enumerate(zip(category.parts, category.mirror, category.sigmas, strict=True)):
        cells = (i + 1, escape(part), "" if mirror == i else mirror + 1, f"{sigma:g}")
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _drawing(category: Category) -> str:
    shape = category.shape
    unit = _SIDE / max(shape.aspect, 1.0)
    width, height = shape.aspect * unit, unit
    points = [(x * width + _MARGIN, y * height + _MARGIN) for x, y in shape.points]
    color = "#{:02x}{:02x}{:02x}".format(*color_of(category))

    def path(line: tuple[int, ...], end: str = "") -> str:
        return "M" + "L".join(f"{points[i][0]:.1f} {points[i][1]:.1f}" for i in line) + end

    filled, edge = "".join(path(line, "Z") for line in shape.panels), path(shape.outline, "Z")
    thin, straps = "".join(map(path, shape.inner_lines)), "".join(map(path, shape.straps))
    pairs = "".join(path((i, mirror)) for i, mirror in enumerate(category.mirror) if mirror > i)
    size = math.sqrt(width * height)
    return (
        f'<svg width="{width + 2 * _MARGIN:.0f}" height="{height + 2 * _MARGIN:.0f}" role="img" '
        f'aria-label="The shape of {escape(category.name)}" fill="none">'
        f'<path d="{filled}" fill="{color}" fill-opacity=".22" stroke="{color}" stroke-opacity=".5"/>'
        f'<path d="{edge}{straps}" stroke="{color}" stroke-width="2.5"/>'
        f'<path d="{thin}" stroke="{color}" stroke-width="1.5"/>'
        f'<path d="{pairs}" stroke="currentColor" stroke-opacity=".3" stroke-dasharray="3 4"/>'
        + "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_HALF * sigma * size:.1f}" stroke="#888" stroke-opacity=".7"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}" stroke="currentColor"/>'
            f'<text x="{x + 6:.1f}" y="{y - 6:.1f}">{number}</text>'
            for number, ((x, y), sigma) in enumerate(zip(points, category.sigmas, strict=False), 1)
        )
        + "</svg>"
    )
