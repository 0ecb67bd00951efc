"""The same labels in four formats become the same raw data, and what cannot be used is set aside with a reason."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
from ruamel.yaml import YAML
from vocabularies import SMALL, image_of, random_record

from deepmark.compute.local import Local
from deepmark.data.coco.writer import write_coco
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.records import read_records
from deepmark.errors import DeepmarkError
from deepmark.importing.coco import read_own_coco
from deepmark.importing.cvat import read_cvat
from deepmark.importing.importer import SplitShares, import_images
from deepmark.importing.labelled import LabelledImage, UnplacedLabel
from deepmark.importing.studio import read_studio
from deepmark.importing.yolo import read_yolo
from deepmark.params import IngestParams
from deepmark.types import ImageRecord

RECORDS: list[ImageRecord] = [random_record(SMALL, number) for number in range(1, 13) if number % 4]
SHARES = SplitShares(validation=0.4)


def imported(labelled: Iterable[LabelledImage | UnplacedLabel], raw: Path, **options: Any) -> dict[str, Any]:
    """Import in this process; the list of those set aside is beside the folder of the raw data."""
    aside, usual = raw.parent / "set_aside.csv", {"shares": SHARES, "engine": Local(1)}
    return import_images(labelled, raw, SMALL, set_aside=aside, **usual | options)


def name_of(record: ImageRecord) -> str:
    return Path(record.file).name


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop") / "images"
    folder.mkdir()
    for record in RECORDS:
        (folder / name_of(record)).write_bytes(image_of(record.id))
    return folder


def coco(folder: Path, images: Path) -> list[LabelledImage]:
    write_coco(folder / "coco.json", RECORDS, SMALL)
    return list(read_own_coco(folder / "coco.json", images, SMALL))


def yolo(folder: Path, images: Path) -> list[LabelledImage]:
    (images.parent / "labels").mkdir(exist_ok=True)
    for record in RECORDS:
        size = np.array([record.width, record.height])
        lines = []
        for garment in record.garments:
            box = garment.box.reshape(2, 2) / size
            row = [garment.category, *box.mean(axis=0), *(box[1] - box[0])]
            landmarks = np.zeros((SMALL.most_landmarks, 3))
            landmarks[: len(garment.landmarks)] = garment.landmarks / [*size, 1]
            lines.append(" ".join(f"{value:.9g}" for value in [*row, *landmarks.ravel()]))
        (images.parent / "labels" / name_of(record)).with_suffix(".txt").write_text("\n".join(lines) + "\n")
    content = {"train": "images", "names": {category.index: category.name for category in SMALL.categories}}
    content["kpt_shape"] = [SMALL.most_landmarks, 3]
    file = images.parent / "data.yaml"
    with file.open("w") as out:
        YAML().dump(content, out)
    return [plainly_named(image) for image in read_yolo(file, SMALL)]


def plainly_named(image: LabelledImage) -> LabelledImage:
    """Under the name that the other formats give it."""
    assert image.split is None
    name = Path(image.name).name
    return LabelledImage(name=name, file=image.file, size=image.size, garments=image.garments, fault=image.fault)


def studio(folder: Path, images: Path) -> list[LabelledImage]:
    tasks = []
    for record in RECORDS:
        size = {"original_width": record.width, "original_height": record.height}
        scale = 100 / np.array([record.width, record.height])
        result = []
        for place, garment in enumerate(record.garments):
            category = SMALL.categories[garment.category]
            corner, extent = garment.box[:2] * scale, (garment.box[2:] - garment.box[:2]) * scale
            box = dict(zip(("x", "y", "width", "height"), [*corner, *extent], strict=True))
            value = {**box, "rotation": 0, "rectanglelabels": [category.name]}
            result.append({"id": f"box{place}", "type": "rectanglelabels", "value": value, **size})
            for part, (x, y, v) in zip(category.parts, garment.landmarks, strict=True):
                if v:
                    point = {"x": x * scale[0], "y": y * scale[1], "width": 0.5}
                    own = {"id": f"{place} {part}", **size}
                    named = {**point, "keypointlabels": [part]}
                    result.append({**own, "type": "keypointlabels", "parentID": f"box{place}", "value": named})
                    if v == 1:
                        result.append({**own, "type": "choices", "value": {**point, "choices": ["hidden"]}})
        data = {"image": f"/data/upload/3/0a1b2c3d-{name_of(record)}"}
        tasks.append({"id": record.id, "data": data, "annotations": [{"result": result, "updated_at": "2026"}]})
    (folder / "studio.json").write_text(json.dumps(tasks))
    return list(read_studio(folder / "studio.json", images, SMALL))


def cvat(folder: Path, images: Path) -> list[LabelledImage]:
    lines = ["<annotations><version>1.1</version>"]
    for record in RECORDS:
        name = quoteattr(name_of(record))
        lines.append(f'<image id="{record.id}" name={name} width="{record.width}" height="{record.height}">')
        for garment in record.garments:
            category = SMALL.categories[garment.category]
            sides = zip(("xtl", "ytl", "xbr", "ybr"), garment.box, strict=True)
            corners = " ".join(f'{side}="{value:.6f}"' for side, value in sides)
            lines.append(f"<box label={quoteattr(category.name)} {corners}/>")
            if category.landmarks:
                lines.append(f"<skeleton label={quoteattr(category.name)}>")
                for part, (x, y, v) in zip(category.parts, garment.landmarks, strict=True):
                    flags = f'outside="{int(v == 0)}" occluded="{int(v == 1)}"'
                    lines.append(f'<points label={quoteattr(part)} {flags} points="{x:.6f},{y:.6f}"/>')
                lines.append("</skeleton>")
        lines.append("</image>")
    (folder / "annotations.xml").write_text("\n".join([*lines, "</annotations>"]))
    return list(read_cvat(folder / "annotations.xml", images, SMALL))


READERS: dict[str, Callable[[Path, Path], list[LabelledImage]]] = {
    "coco": coco,
    "yolo": yolo,
    "label-studio": studio,
    "cvat": cvat,
}


@pytest.mark.parametrize("origin", READERS)
def test_every_format_gives_the_labels_that_were_made(origin, images, tmp_path):
    found = {image.name: image for image in READERS[origin](tmp_path, images)}

    assert found.keys() == {name_of(record) for record in RECORDS}
    for record in RECORDS:
        image = found[name_of(record)]
        assert (image.fault, image.file) == ("", images / image.name)
        assert image.size == (record.height, record.width)

        def key(garment) -> tuple:
            return tuple(np.round(garment.box, 1))

        wanted, got = sorted(record.garments, key=key), sorted(image.garments, key=key)
        assert [one.category.index for one in got] == [garment.category for garment in wanted]
        for garment, one in zip(wanted, got, strict=True):
            np.testing.assert_allclose(one.box, garment.box, atol=1e-3)
            np.testing.assert_allclose(one.landmarks, garment.landmarks, atol=1e-3)


@pytest.mark.parametrize("origin", READERS)
def test_the_images_become_records_and_all_are_accounted_for(origin, images, tmp_path):
    labelled = READERS[origin](tmp_path, images)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no image")
    first = labelled[0]
    more = [
        LabelledImage(name="a nobody.jpg", file=images / "nobody.jpg", size=first.size, garments=first.garments),
        LabelledImage(name="b broken.jpg", file=broken, size=first.size, garments=first.garments),
        LabelledImage(name="c nothing.jpg", file=first.file, size=first.size),
        LabelledImage(name="d other size.jpg", file=first.file, size=(7, 9), garments=first.garments),
        first,
    ]
    facts = imported([*labelled, *more], tmp_path / "raw")

    assert facts["items"] == sum(len(record.garments) for record in RECORDS)
    assert facts["in_source"] == len(RECORDS) + 5 == facts["train"] + facts["validation"] + facts["set_aside"]
    aside = (tmp_path / "set_aside.csv").read_text().splitlines()
    assert len(aside) == 1 + facts["set_aside"] == 6
    words = ("is in the source twice", "no such file", "JPEG", "has no labelled garment", "outside the image")
    for line, word in zip(aside[1:], words, strict=True):
        assert word in line
    params, count = IngestParams(max_rejected_share=0.0, max_megapixels=10), 0
    for split in ("train", "validation"):
        ingest_split(tmp_path / "raw", split=split, out=tmp_path / "records", params=params, vocabulary=SMALL)
        count += len(list(read_records(tmp_path / f"records/{split}.parquet")))
    assert count == len(RECORDS)


def test_an_image_stays_in_its_split_when_others_come_and_a_product_is_in_one(images, tmp_path):
    labelled = coco(tmp_path, images)
    shares = SplitShares(validation=0.4, test=0.1, group_by=r"^0+([0-9])")

    def splits(number: int, chosen: list[LabelledImage]) -> dict[str, str]:
        raw = tmp_path / f"raw{number}"
        imported(chosen, raw, shares=shares)
        lines = (raw / "imported.csv").read_text().splitlines()[1:]
        return {line.split(",")[1]: line.split(",")[2] for line in lines}

    every = splits(1, labelled)
    assert set(every) == {image.name for image in labelled}
    assert splits(2, labelled[1:]).items() <= every.items()
    assert len({every[name] for name in every if name.startswith("00001")}) == 1


def test_splits_of_the_source_are_kept(images, tmp_path):
    labelled = [
        LabelledImage(
            name=image.name,
            file=image.file,
            size=image.size,
            garments=image.garments,
            split="validation" if place < 2 else "train",
        )
        for place, image in enumerate(coco(tmp_path, images))
    ]
    facts = imported(labelled, tmp_path / "raw")

    assert (facts["train"], facts["validation"]) == (len(RECORDS) - 2, 2)


def test_no_image_is_read_where_the_shares_leave_a_split_empty(images, tmp_path, monkeypatch):
    monkeypatch.setattr("deepmark.importing.importer._place", None)
    with pytest.raises(DeepmarkError, match=r"0 set aside, none is left for validation\. Give more images"):
        imported(coco(tmp_path, images), tmp_path / "raw", shares=SplitShares(validation=0.0))


def test_nothing_is_written_where_a_split_would_be_empty_or_is_there(images, tmp_path):
    labelled, raw = coco(tmp_path, images), tmp_path / "raw"
    with pytest.raises(DeepmarkError, match=r"1 images in the source, 0 set aside, none is left for "):
        imported(labelled[:1], raw)
    assert {path.name for path in tmp_path.iterdir()} == {"coco.json", "set_aside.csv"}

    (raw / "validation").mkdir(parents=True)
    with pytest.raises(DeepmarkError, match=r"raw: is there already\. Move it away, or import into a new"):
        imported(labelled, raw)
    assert [path.name for path in raw.iterdir()] == ["validation"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"validation": -0.1}, "give shares between 0 and 1 that leave some images to train on"),
        ({"validation": 0.6, "test": 0.5}, "--validation 0.6 --test 0.5: give shares"),
    ],
)
def test_shares_that_leave_nothing_are_refused(values, message):
    with pytest.raises(DeepmarkError, match=message):
        SplitShares(**values)


@pytest.mark.parametrize(("text", "message"), [("(", "is no regular expression"), ("abc", r"put what images of one")])
def test_an_expression_that_names_no_group_is_refused(text, message, images, tmp_path):
    shares = SplitShares(group_by=text)
    with pytest.raises(DeepmarkError, match=message):
        imported(coco(tmp_path, images), tmp_path / "raw", shares=shares)
