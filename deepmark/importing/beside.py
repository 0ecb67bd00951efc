"""Beside the raw data that is there: which numbers are free, and all its files once more in a new folder."""

import os
import re
import shutil
from pathlib import Path

from deepmark.data.coco.import_images import link_or_copy
from deepmark.data.ingest.ingest import VOCABULARY_FILE, check_raw_vocabulary
from deepmark.errors import DeepmarkError
from deepmark.importing.split import SPLITS
from deepmark.vocabulary import Vocabulary

KINDS = ("image", "annos")
"""The folders of a split."""


def check_addable(raw: Path, vocabulary: Vocabulary) -> None:
    """Raise DeepmarkError where there is nothing to add to, or labels of another vocabulary."""
    if not (raw / "train").is_dir():
        raise DeepmarkError(f"{raw / 'train'}: no such folder, so there is no data to add to. Leave out --add.")
    for split in SPLITS:
        check_raw_vocabulary(raw / split / VOCABULARY_FILE, vocabulary)


def last_number(raw: Path) -> int:
    """The highest number that a file of the raw data has."""
    last = 0
    for folder in (raw / split / kind for split in SPLITS for kind in KINDS):
        for name in os.listdir(folder) if folder.is_dir() else ():  # noqa: PTH208 - there may be 400,000 files
            if found := re.match(r"\d+", name):
                last = max(last, int(found[0]))
    return last


def link_files(raw: Path, folder: Path) -> None:
    """Every file of the raw data once more in `folder`; images and annotations without a second copy where links work.

    Other files are copied, so that writing to them changes nothing in `raw`.
    """
    for place, _, names in os.walk(raw, followlinks=True):
        target = folder / Path(place).relative_to(raw)
        target.mkdir(exist_ok=True)
        make = link_or_copy if target.name in KINDS else shutil.copy2
        for name in names:
            make(Path(place, name), target / name)
