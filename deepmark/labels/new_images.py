"""Unlabelled images as tasks: those that can be read and are not in the data yet, in the order of `rank`."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from deepmark.audit.duplicates import ImageHashes, hash_split, shared_images
from deepmark.audit.label_issue import LIKELY
from deepmark.audit.perceptual_hash import hashes_of_image
from deepmark.compute.choose import engine_of
from deepmark.data.ingest.ingest import read_statistics
from deepmark.data.loader import default_threads, load_batches
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256, require_file
from deepmark.images import is_url, open_image
from deepmark.infer.embed import Embedded, embed
from deepmark.infer.find_images import STANDARD_INPUT, Source, find_images
from deepmark.infer.predict import Predictor, PreparedImage, best_device
from deepmark.labels.choose import detected_regions
from deepmark.labels.rank import rank
from deepmark.labels.task import LabelTask
from deepmark.model.detector import load_network
from deepmark.progress import progress
from deepmark.schema import FOUND_SCORE, SHOWN_SCORE, SPLITS
from deepmark.shapes import Int64, UInt8, UInt64
from deepmark.vocabulary import check_same
from deepmark.workspace.inputs import open_shards
from deepmark.workspace.layout import Workspace

_NOTHING = "There is nothing in it that the model is unsure of."


@dataclass(frozen=True, kw_only=True, slots=True)
class _NewImage:
    """An image without its pixels: there may be very many."""

    file: Path
    sha256: bytes
    bits: UInt64[np.ndarray, "2"]
    """Its perceptual hash, and that of its mirror image."""

    thumbnail: UInt8[np.ndarray, "16 16"]


def new_tasks(
    workspace: Workspace,
    sources: Sequence[Source],
    limit: int,
    *,
    recursive: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> tuple[list[LabelTask], dict[str, Any]]:
    """Tasks for at most `limit` of the images that people name, and how many there were of each kind.

    `note` is called with a sentence about each image that cannot be read. Raises DeepmarkError where no image is found
    or left, and where the model is missing, damaged or of another vocabulary than the workspace.
    """
    files = _files(sources, recursive, note)
    predictor = _predictor(workspace)
    images, embedded = _look(files, predictor, note)
    copies, repeated = _known(workspace, images) if images else (set(), set())
    left = [place for place in range(len(images)) if place not in copies | repeated]
    facts = {
        "found": len(files),
        "unreadable": len(files) - len(images),
        "in_the_data": len(copies),
        "repeated": len(repeated),
    }
    if not left:
        told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in facts.items())
        raise DeepmarkError(f"None of the images is left to label: {told}. Name others.")
    counts = _labelled_items(workspace)
    chosen = rank([embedded[place] for place in left], counts, limit)
    root = Path(os.path.commonpath([file.parent for file in files]))
    reasons = [
        f"May show {category.name}, of which {count} are labelled."
        for category, count in zip(workspace.vocabulary.categories, counts.tolist(), strict=True)
    ]
    tasks = [
        _task(images[left[place]], root, predictor, _NOTHING if category is None else reasons[category])
        for place, category in chosen
    ]
    return tasks, {**facts, "folder_of_images": str(root)}


def _files(sources: Sequence[Source], recursive: bool, note: Callable[[str], None]) -> list[Path]:
    if not sources:
        raise DeepmarkError("--from new: name the images: files, folders or 'patterns'.")
    files = []
    for source in find_images(sources, recursive=recursive, note=note):
        if source == STANDARD_INPUT or is_url(str(source)):
            raise DeepmarkError(f"{source}: is no file, and labelling tools and `deepmark import` need files.")
        files.append(Path(source).absolute())
    return files


def _predictor(workspace: Workspace) -> Predictor:
    file = require_file(workspace.model_file, "deepmark train")
    network = load_network(file)
    remedy = "Train a model for the vocabulary of the workspace first."
    check_same(workspace.vocabulary, "the workspace", network.vocabulary, file, remedy)
    params = workspace.params.predict.model_copy(update={"min_score": SHOWN_SCORE})
    return Predictor(network, "nms", params, best_device())


def _look(
    files: Sequence[Path], predictor: Predictor, note: Callable[[str], None]
) -> tuple[list[_NewImage], list[Embedded]]:
    """Every image that can be read, and what the network sees in it."""

    def read(place: int) -> tuple[_NewImage, PreparedImage] | None:
        try:
            opened = open_image(files[place])
            bits, thumbnail = hashes_of_image(opened)
            prepared = predictor.prepare_opened(opened)
        except DeepmarkError as error:
            note(str(error))
            return None
        digest = bytes.fromhex(file_sha256(files[place]))
        return _NewImage(file=files[place], sha256=digest, bits=bits, thumbnail=thumbnail), prepared

    size = predictor.params.batch_size
    batches = [range(start, min(start + size, len(files))) for start in range(0, len(files), size)]
    images: list[_NewImage] = []
    embedded: list[Embedded] = []
    with progress("look at images", len(files)) as advance:
        for several in load_batches(batches, read, threads=default_threads()):
            found = [one for one in several if one is not None]
            images += [image for image, _ in found]
            if found:
                embedded += embed(predictor, [prepared for _, prepared in found], min_score=FOUND_SCORE)
            advance(len(several))
    return images, embedded


def _known(workspace: Workspace, images: Sequence[_NewImage]) -> tuple[set[int], set[int]]:
    """The places of the images that are in the data, and of those that look the same as an earlier one of them."""
    new = ImageHashes(
        split="new",
        image_ids=np.arange(len(images)),
        files=pa.array([str(one.file) for one in images]),
        sha256=np.frombuffer(b"".join(one.sha256 for one in images), np.uint64).reshape(-1, 4),
        bits=np.stack([one.bits for one in images]),
        thumbnails=np.stack([one.thumbnail for one in images]).__getitem__,
    )
    params = workspace.params
    engine = engine_of(params.compute)
    readers = [open_shards(workspace, split) for split in SPLITS]
    with progress("compare with the data", sum(map(len, readers))) as advance:
        data = [hash_split(reader, engine, progress=advance) for reader in readers]
    radius = params.audit.hash_bits
    copies = {issue.image_id for issue in shared_images(new, data, radius=radius, min_score=LIKELY)}
    same = {issue.image_id for issue in shared_images(new, [new], radius=radius, min_score=LIKELY)}
    return copies, same - copies


def _labelled_items(workspace: Workspace) -> Int64[np.ndarray, " c"]:
    """How many garments of each category the training split has."""
    file = require_file(workspace.records / "train.statistics.json", "deepmark ingest --split train")
    by_category = read_statistics(file)["by"]["category"]
    return np.array([by_category[category.name]["items"] for category in workspace.vocabulary.categories])


def _task(image: _NewImage, root: Path, predictor: Predictor, reason: str) -> LabelTask:
    opened = open_image(image.file)
    (found,) = predictor.detect([predictor.prepare_opened(opened)])
    height, width = opened.size
    return LabelTask(
        split=None,
        image_id=0,
        file=image.file.relative_to(root).as_posix(),
        width=width,
        height=height,
        sha256=image.sha256.hex(),
        labels=(),
        detections=detected_regions(found),
        reasons=(reason,),
        items={},
    )
