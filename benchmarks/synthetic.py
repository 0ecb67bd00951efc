"""How fast images are made, drawn and rendered: milliseconds of a processor for each step, images a second of a core.

    python benchmarks/synthetic.py [--images 60] [--style 2d] [--style 3d]
    python benchmarks/synthetic.py --style 3d --sheet docs/images/rendered.jpg

Times are those of the processor, so that a machine which does other work, too, says about the same. Images are as
`deepmark synth` makes them, 400 to 560 pixels wide and 540 to 720 high, which is a sixth more than 512 x 512; JPEG
encoding is included. What is loaded once, the body's model and OpenGL, is not. The steps of a rendered image are timed
where they are called. With --sheet nothing is timed: 30 training and 30 validation images become one picture.
"""

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg

from deepmark.draw.sheet import contact_sheet
from deepmark.schema import SPLITS, Style
from deepmark.synthetic.scene import draw_image

STEPS = {
    "figure.Figure.person": "shape and pose of the body",
    "scene.dress": "garments on it",
    "scene._layers": "fabrics, skin, hair, shoes",
    "scene._view": "camera",
    "renderer.Renderer.render": "rendering",
    "annotation.annotate": "annotation",
    "scene.sample_ground": "ground",
    "scene._photographed": "camera effects",
}


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Seconds in each step while the block runs."""
    import importlib

    seconds: dict[str, float] = defaultdict(float)
    undo: list[Callable[[], None]] = []
    for place, name in STEPS.items():
        module, *way, attribute = place.split(".")
        owner: Any = importlib.import_module(f"deepmark.synthetic.rendered.{module if way else 'scene'}")
        for part in way:
            owner = getattr(owner, part)
        inner = getattr(owner, attribute)

        def outer(*args: Any, inner: Any = inner, name: str = name, **options: Any) -> Any:
            start = time.process_time()
            try:
                return inner(*args, **options)
            finally:
                seconds[name] += time.process_time() - start

        setattr(owner, attribute, outer)
        undo.append(lambda owner=owner, attribute=attribute, inner=inner: setattr(owner, attribute, inner))
    try:
        yield seconds
    finally:
        for one in undo:
            one()


def make(style: Style, index: int, split: str = "train") -> tuple[np.ndarray, dict[str, Any]]:
    if style is Style.FLAT:
        drawn = draw_image(seed=1, split=split, index=index)
        return drawn.image, drawn.annotation
    from deepmark.synthetic.rendered.scene import render_image

    rendered = render_image(seed=1, split=split, index=index)
    return rendered.image, rendered.annotation


def sheet(style: Style, file: Path) -> None:
    """Training images above, validation images below, 150 pixels wide."""
    small = []
    for split in SPLITS:
        for index in range(30):
            image, _ = make(style, index, split)
            scale = 150 / image.shape[1]
            small.append(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    file.write_bytes(simplejpeg.encode_jpeg(contact_sheet(small, 10), quality=72, colorspace="RGB"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--style", type=Style, action="append", choices=list(Style))
    parser.add_argument("--sheet", type=Path, help="where to write a picture of images of the last style")
    options = parser.parse_args()
    if options.sheet:
        sheet((options.style or list(Style))[-1], options.sheet)
        return
    print("| style | step | ms an image | images a second of a core |\n|---|---|---:|---:|")
    for style in options.style or list(Style):
        for index in range(3):
            make(style, index)
        pixels, start, clock = 0, time.process_time(), time.perf_counter()
        with timed() if style is Style.SOLID else contextmanager(lambda: iter([{}]))() as seconds:
            for index in range(options.images):
                image, annotation = make(style, index)
                simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=90, colorspace="RGB")
                json.dumps(annotation)
                pixels += image.shape[0] * image.shape[1]
        spent_on_all, wall = time.process_time() - start, time.perf_counter() - clock
        for name, spent in seconds.items():
            print(f"| {style} | {name} | {1e3 * spent / options.images:.1f} | |")
        if seconds:
            rest = spent_on_all - sum(seconds.values())
            print(f"| {style} | the rest, with JPEG | {1e3 * rest / options.images:.1f} | |")
        print(f"| {style} | all | {1e3 * spent_on_all / options.images:.1f} | {options.images / spent_on_all:.1f} |")
        print(
            f"\n{pixels / options.images / 512**2:.2f} times the pixels of 512 x 512; "
            f"{spent_on_all / wall:.2f} cores were busy with it\n"
        )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
