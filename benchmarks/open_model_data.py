"""The images of benchmarks/open_model.py: those to learn, those to measure on, and some whose labels nobody reads.

Drawn and rendered images with the seed 1 are learnt and measured on. Those that networks are adapted to are of the same
kinds as the measured ones and none of them: other images, with the seed 2.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from light_trainings import make_worse, shard
from mixed_raw import link, numbers_in

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256, new_folder, write_text
from deepmark.infer.adapt import FEWEST
from deepmark.infer.find_images import find_images
from deepmark.schema import Statistics
from deepmark.synthetic import draw_dataset
from deepmark.synthetic.rendered.dataset import render_dataset
from deepmark.synthetic.rendered.styles import STYLES
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

NO_LAYERS = {split: replace(one, layered=0.0, under_outwear=(0.0, 0.0, 1.0)) for split, one in STYLES.items()}
"""The styles without anything over another upper garment."""

TESTS = ("3d", "2d", "3d, worse", "2d, worse")
ON_PHOTOGRAPHS = "3d, photographs"
"""A further test where there are photographs: the people of "3d" before photographs that no row has learnt."""

_ONE_IN = 3
"""Of so many photographs, one is kept for the test."""


def divided(photographs: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Photographs to learn, and others to measure on: the name of a file alone says which.

    Raises DeepmarkError where one of the two is empty.
    """
    parts: tuple[list[Path], list[Path]] = ([], [])
    for file in photographs:
        parts[int(hashlib.sha256(file.name.encode()).hexdigest(), 16) % _ONE_IN == 0].append(file)
    if not all(parts):
        raise DeepmarkError(
            f"--grounds: of {len(photographs)} photographs, their names give {len(parts[0])} to training and "
            f"{len(parts[1])} to the test. Add more."
        )
    return parts


class Data:
    """Folders of images and shards, each made once."""

    def __init__(self, folder: Path, *, train: int, validation: int, grounds: Path | None) -> None:
        """Raises DeepmarkError for a folder without enough photographs, or with others than before."""
        self.folder = folder
        self.counts = {"train": train, "validation": validation}
        folder.mkdir(parents=True, exist_ok=True)
        self.learnt, self.others = [], []
        if grounds is not None:
            found = [file.resolve() for file in find_images([grounds]) if isinstance(file, Path)]
            self.learnt, self.others = divided(found)
            self._check_same(found)
        self.tests = (*TESTS, ON_PHOTOGRAPHS) if grounds is not None else TESTS

    def _check_same(self, photographs: Sequence[Path]) -> None:
        listed, mark = "".join(f"{file_sha256(one)}  {one.name}\n" for one in photographs), self.folder / "grounds.txt"
        if mark.is_file() and mark.read_text("utf-8") != listed:
            raise DeepmarkError(f"--grounds: not the photographs of {mark}. Give these, or name another folder.")
        write_text(mark, listed)

    def raw(self, kind: str) -> Path:
        """A raw folder of a kind of images: see `makers`; or `unlabelled` ones of a kind."""
        word, _, rest = kind.partition(" ")
        only_train = {"train": round(self.counts["train"] / 2), "validation": 0, "seed": 1}
        both = {**self.counts, "seed": 1}
        if word == "unlabelled":
            kind, both = rest, {"train": 0, "validation": max(self.counts["validation"], FEWEST), "seed": 2}
        makers: dict[str, Callable[[Path], object]] = {
            "drawn": partial(draw_dataset, **both),
            "as released": partial(draw_dataset, **both | {"validation": 0}, statistics=Statistics.DEEPFASHION2),
            "rendered": partial(render_dataset, **both),
            "no layers": partial(render_dataset, **only_train, styles=NO_LAYERS),
            "photographs": partial(render_dataset, **only_train, grounds=self.learnt),
            "other photographs": partial(render_dataset, **both | {"train": 0}, grounds=self.others),
        }
        return self._made("-".join([word, *rest.split()]), makers[kind])

    def _made(self, name: str, make: Callable[[Path], object]) -> Path:
        goal, mark = self.folder / name, self.folder / f"{name}.done"
        if not mark.is_file():
            make(goal)
            mark.touch()
        return goal

    def training_set(self, share: float, rendered: str = "rendered", drawn: str = "drawn") -> Workspace:
        """Shards of drawn and rendered images, `share` of them rendered; those to validate on choose nothing."""
        kinds = rendered if drawn == "drawn" else f"{rendered}-{drawn}"
        data = init_workspace(self.folder / f"train-{share:g}-{kinds.replace(' ', '-')}", "demo")
        for split, count in self.counts.items():
            if not (data.raw / split).is_dir():
                number = round(share * count)
                with new_folder(data.raw / split) as draft:
                    for kind, wanted in (
                        (rendered if split == "train" else "rendered", number),
                        (drawn if split == "train" else "drawn", count - number),
                    ):
                        if wanted:
                            source = self.raw(kind) / split
                            link(source, numbers_in(source)[:wanted], draft, number=len(numbers_in(draft)))
            shard(data, split)
        return data

    def test_set(self, test: str) -> Workspace:
        """Shards of validation images."""
        data = init_workspace(self.folder / f"test-{test.replace(', ', '-')}", "demo")
        if not (data.raw / "validation").is_dir():
            self._like(test, data.raw / "validation", data)
        shard(data, "validation")
        return data

    def unlabelled(self, test: str) -> Path:
        """Images as those of a test, and none of them."""
        goal = self.folder / f"unlabelled-as-{test.replace(', ', '-')}"
        if not goal.is_dir():
            self._like(test, goal, self.test_set(test), before="unlabelled ")
        return goal / "image"

    def _like(self, test: str, goal: Path, data: Workspace, before: str = "") -> None:
        """Fill a folder with the images of a test, or with such images."""
        style, _, change = test.partition(", ")
        kind = "drawn" if style == "2d" else "other photographs" if test == ON_PHOTOGRAPHS else "rendered"
        source = self.raw(before + kind) / "validation"
        with new_folder(goal) as draft:
            shutil.copytree(source / "annos", draft / "annos", copy_function=os.link)
            if change == "worse":
                make_worse(source / "image", draft / "image", data.params.augment)
            else:
                shutil.copytree(source / "image", draft / "image", copy_function=os.link)
