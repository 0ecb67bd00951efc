"""Writes the files of a data set of rendered images."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from os import PathLike
from pathlib import Path

from deepmark.compute.engine import Engine
from deepmark.errors import as_path
from deepmark.files import file_sha256
from deepmark.images.opened_image import read_image
from deepmark.schema import SPLITS, Style
from deepmark.synthetic.dataset import Drawn, checked_counts, write_dataset
from deepmark.synthetic.rendered.scene import prepare, render_image
from deepmark.synthetic.rendered.styles import STYLES, Styles, check_styles
from deepmark.vocabulary import DEEPFASHION2


def render_dataset(
    out: str | PathLike[str],
    *,
    train: int,
    validation: int,
    seed: int,
    grounds: Sequence[Path] = (),
    styles: Mapping[str, Styles] = STYLES,
    engine: Engine | None = None,
    progress: Callable[[int], None] = lambda n: None,
) -> dict[str, int]:
    """As `deepmark.synthetic.draw_dataset`, of rendered images; needs the extra synth3d and EGL.

    `grounds` are photographs to put behind the figures; the bytes then depend on them, too. `styles` are those of each
    split. After an interruption, the same call goes on where it was, with the same versions of what renders.

    Raises DeepmarkError if `out` holds anything but images of the same arguments and versions, a number is negative,
    a ground is no image, styles cannot be sampled, or EGL is missing.
    """
    out = as_path(out, "render_dataset: out")
    counts = checked_counts(train=train, validation=validation, seed=seed)
    recipe: dict[str, str | int] = {
        "drawn_by": f"deepmark synth --style {Style.SOLID}",
        "seed": seed,
        **counts,
        **({"grounds_sha256": grounds_digest(grounds)} if grounds else {}),
    }
    check_styles(styles)
    recipe["rendered_with"] = prepare()
    if any(styles[split] != STYLES[split] for split in SPLITS):
        recipe["styles"] = json.dumps({split: asdict(styles[split]) for split in SPLITS})
    render = partial(_render, seed, tuple(grounds), {split: styles[split] for split in SPLITS})
    return write_dataset(
        out, counts, recipe, render, vocabulary=DEEPFASHION2, goes_on=True, engine=engine, progress=progress
    )


def grounds_digest(grounds: Sequence[Path]) -> str:
    """What the photographs are: their contents in their order; raises DeepmarkError for a file that is no image."""
    found = hashlib.sha256()
    for file in grounds:
        read_image(file)
        found.update(file_sha256(file).encode())
    return found.hexdigest()


def _render(seed: int, grounds: tuple[Path, ...], styles: Mapping[str, Styles], split: str, index: int) -> Drawn:
    rendered = render_image(seed=seed, split=split, index=index, grounds=grounds, styles=styles[split])
    return rendered.image, rendered.annotation
