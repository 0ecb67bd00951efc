"""What a model finds in photographs: 31 of people, with 89 garments, that took no part in any choice.

    python benchmarks/photographs.py mmpose/tests/data [--model open] [--strategy nms] [--draw drawn.jpg] [--card]

The photographs are those of the tests of github.com/open-mmlab/mmpose, of which a clone has them; none is here. Their
garments were labelled by eye before any model had seen them, the boxes (photographs.csv, per cent of width and height)
to one or two per cent. Figures stay out of every choice only as long as nobody trains or chooses by them.

Prints COCO's AP and AP50 of boxes by category, and class-agnostic, where of detections of several categories at one
place the best one is left; how many detections of a score of .3 or more lie on a garment, with an IoU
above .5; and how many of these are right: of its category. `--card` puts these figures into the card of the model that
comes with DeepMark.
"""

import argparse
import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from messages import one_message
from PIL import Image

from deepmark import Detections, load_detector
from deepmark.draw.sheet import contact_sheet
from deepmark.errors import DeepmarkError
from deepmark.geometry import box_iou
from deepmark.infer.choose_garments import choose_garments
from deepmark.models.packaged import FOLDER, OPEN, read_card, write_card
from deepmark.progress import progress
from deepmark.schema import SHOWN_SCORE
from deepmark.vocabulary import DEEPFASHION2

LABELS = Path(__file__).with_suffix(".csv")
CORNERS = ["left", "top", "right", "bottom"]
SHEET_COLUMNS, TILE = 6, 400


def truth(labels: pd.DataFrame, sizes: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """A COCO data set of the labels; images are numbered as in `sizes`, whose sizes are width and height."""
    numbers = {file: number for number, file in enumerate(sizes, 1)}
    names, annotations = [one.name for one in DEEPFASHION2.categories], []
    for number, row in enumerate(labels.itertuples(), 1):
        width, height = sizes[row.file]
        left, right = row.left * width / 100, row.right * width / 100
        top, bottom = row.top * height / 100, row.bottom * height / 100
        box = [left, top, right - left, bottom - top]
        facts = {"image_id": numbers[row.file], "category_id": names.index(row.category) + 1}
        annotations.append({"id": number, **facts, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
    images = [{"id": numbers[file], "width": size[0], "height": size[1]} for file, size in sizes.items()]
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def evaluated(dataset: dict[str, Any], found: dict[int, Detections], *, by_category: bool) -> tuple[float, float]:
    """COCO's AP and AP50 of boxes."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    kept = {number: choose_garments(one, one_at_a_place=not by_category) for number, one in found.items()}
    results = [
        {name: each[name] for name in ("image_id", "category_id", "bbox", "score")}
        for number, one in kept.items()
        for each in one.to_coco(number)
    ]
    if not results:
        return 0.0, 0.0
    with redirect_stdout(io.StringIO()):  # pycocotools tells every step
        coco = COCO()
        coco.dataset = dataset
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.params.useCats = int(by_category)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])


def shown(found: Detections) -> Detections:
    """Those of a score of `SHOWN_SCORE` or more."""
    return found[found.scores >= SHOWN_SCORE]


def drawing(found: Detections) -> np.ndarray:
    """Those that are shown on their image, of at most `TILE` pixels a side."""
    image = shown(found).draw()
    image.thumbnail((TILE, TILE))
    return np.asarray(image)


def right_ones(dataset: dict[str, Any], found: dict[int, Detections]) -> tuple[int, int, int]:
    """The detections of a score of `SHOWN_SCORE` or more, those of them on a garment, and those that are right."""
    detections = on_garment = right = 0
    for number, one in ((number, shown(each)) for number, each in found.items()):
        detections += len(one)
        garments = [each for each in dataset["annotations"] if each["image_id"] == number]
        boxes = np.array([each["bbox"] for each in garments])
        boxes[:, 2:] += boxes[:, :2]
        ious = box_iou(one.boxes.astype(np.float64), boxes)
        same = one.categories[:, None] + 1 == np.array([each["category_id"] for each in garments])
        on_garment += int((ious > 0.5).any(axis=1).sum())
        right += int(((ious > 0.5) & same).any(axis=1).sum())
    return detections, on_garment, right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="tests/data of a clone of mmpose")
    parser.add_argument("--model", default=OPEN, help="what `deepmark detect --model` takes")
    parser.add_argument("--strategy", default="nms")
    parser.add_argument("--card", action="store_true", help="into open.yaml of the installation")
    parser.add_argument("--draw", type=Path, help="an image of all, with what scores .3 or more")
    options = parser.parse_args()
    if options.card and options.model != OPEN:
        parser.error(f"--card is for the model {OPEN}")
    labels = pd.read_csv(LABELS)
    files = list(dict.fromkeys(labels["file"]))
    if not (options.folder / files[0]).is_file():
        raise DeepmarkError(f"{options.folder}: {files[0]} is not in it. Name tests/data of a clone of mmpose.")
    detector = load_detector(options.model, strategy=options.strategy, min_score=0.0)
    found, sizes, drawn = {}, {}, []
    with progress("photographs", len(files)) as advance:
        for number, file in enumerate(files, 1):
            with Image.open(options.folder / file) as image:
                sizes[file] = image.size
            found[number] = detector(options.folder / file)
            if options.draw:
                drawn.append(drawing(found[number]))
            advance(1)
    if options.draw:
        Image.fromarray(contact_sheet(drawn, SHEET_COLUMNS)).save(options.draw)
    dataset = truth(labels, sizes)
    figures: dict[str, Any] = {"on": f"{len(files)} photographs, {len(labels)} garments", "strategy": options.strategy}
    for words, by_category in (("by_category", True), ("class_agnostic", False)):
        ap, ap50 = evaluated(dataset, found, by_category=by_category)
        figures |= {f"box_ap_{words}": round(ap, 4), f"box_ap50_{words}": round(ap50, 4)}
    detections, on_garment, right = right_ones(dataset, found)
    figures[f"detections_from_{SHOWN_SCORE:g}"] = detections
    figures |= {"of_these_on_a_garment": on_garment, "of_these_right": right}
    for name, value in figures.items():
        print(f"{name}: {value}")
    if options.card:
        write_card(FOLDER, read_card() | {"on_photographs": figures | {"by": "benchmarks/photographs.py"}})


if __name__ == "__main__":
    with one_message("photographs"):
        main()
