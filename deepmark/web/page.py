"""The files of the page, and the facts about categories and engine that it reads as config.json."""

from pathlib import Path
from typing import Any

from deepmark.draw.garments import color_of
from deepmark.schema import SHOWN_SCORE
from deepmark.version import __version__
from deepmark.vocabulary import Vocabulary

STATIC = Path(__file__).with_name("static")
"""The page: plain HTML, CSS and modules of JavaScript, without a build step."""

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""What a server should send with the page. The first two allow threads in a browser."""


def page_config(engine: str, vocabulary: Vocabulary, **facts: Any) -> dict[str, Any]:
    """The content of config.json: `engine` is "server" or "browser", `vocabulary` is of what its model detects; the
    rest is the engine's own."""
    return {
        "engine": engine,
        "version": __version__,
        "min_score": SHOWN_SCORE,
        "categories": [
            {
                "name": category.name,
                "color": "#" + "".join(f"{part:02x}" for part in color_of(category)),
                "landmarks": category.parts,
                "strokes": category.strokes,
            }
            for category in vocabulary.categories
        ],
        **facts,
    }
