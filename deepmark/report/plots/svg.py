"""Matplotlib figures as SVG with the page's colours and fonts, and a text for screen readers; reproducible bytes."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, LINE, ACCENT, SECOND, PAPER = (f"#0000{digit}0" for digit in "123456")
STEPS: tuple[str, ...] = tuple(f"#0000{digit}7" for digit in "12345")
"""Placeholder colours, which the page replaces by its own, light or dark. `STEPS` go from bad to good."""

_VARIABLES = {
    **dict(
        zip(
            (INK, MUTED, LINE, ACCENT, SECOND, PAPER),
            ("ink", "muted", "line", "accent", "second", "paper"),
            strict=True,
        )
    ),
    **{color: f"step-{i}" for i, color in enumerate(STEPS, 1)},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """A figure of the page."""

    title: str
    description: str
    """What it shows, in words, for screen readers."""

    svg: str


@contextmanager
def page_style() -> Iterator[None]:
    """A context with the page's settings of Matplotlib; figures are drawn and written inside it."""
    import matplotlib as mpl

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "deepmark",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": MUTED,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
    }
    with mpl.rc_context(style):
        yield


def to_drawing(figure: "Figure", name: str, *, title: str, description: str) -> Drawing:
    """The figure as an <svg> element whose ids all begin with `name`, unique on the page."""
    stream = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    text = stream.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"#0000[1-6][07]\b", lambda m: f"var(--{_VARIABLES[m[0]]})", text)
    width, height = (float(side) for side in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)[0])
    head = (
        f'<svg role="img" aria-labelledby="{name}-title {name}-desc" viewBox="0 0 {width:g} {height:g}" '
        f'style="max-width: {width * 4 / 3:.0f}px">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    )
    return Drawing(
        title=title, description=description, svg=re.sub(r"\s*\n\s*", "\n", re.sub(r"<svg[^>]*>", head, text, count=1))
    )
