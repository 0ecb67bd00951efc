"""Writing a drawn data set: names, folders, the same bytes from the same seed, and refusals."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from deepmark.compute.local import Local
from deepmark.errors import DeepmarkError
from deepmark.synthetic import draw_dataset
from deepmark.synthetic.dataset import Drawn, write_dataset
from deepmark.synthetic.scene import draw_image
from deepmark.vocabulary import DEEPFASHION2


def digest(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_every_image_has_its_annotation_and_a_number_of_six_digits(drawn: Path):
    for split, count in (("train", 90), ("validation", 8)):
        names = [f"{number:06d}" for number in range(1, count + 1)]
        assert sorted(path.name for path in (drawn / split / "image").iterdir()) == [f"{name}.jpg" for name in names]
        assert sorted(path.name for path in (drawn / split / "annos").iterdir()) == [f"{name}.json" for name in names]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_for_any_number_of_workers(tmp_path: Path):
    done: list[int] = []
    alone = draw_dataset(tmp_path / "alone", train=18, validation=3, seed=9, engine=Local(1))
    together = draw_dataset(
        tmp_path / "together", train=18, validation=3, seed=9, engine=Local(2), progress=done.append
    )

    assert alone == together
    assert sum(done) == 21
    assert digest(tmp_path / "alone") == digest(tmp_path / "together")


def test_another_seed_gives_other_images(tmp_path: Path):
    draw_dataset(tmp_path / "one", train=2, validation=0, seed=1, engine=Local(1))
    draw_dataset(tmp_path / "two", train=2, validation=0, seed=2, engine=Local(1))

    one, two = digest(tmp_path / "one"), digest(tmp_path / "two")
    assert one.keys() == two.keys()
    assert all(one[path] != two[path] for path in one)


def test_the_splits_show_different_images():
    pictures = [draw_image(seed=3, split=split, index=0).image for split in ("train", "validation")]
    assert pictures[0].shape != pictures[1].shape or (pictures[0] != pictures[1]).any()


def test_an_image_does_not_depend_on_how_many_are_drawn(tmp_path: Path, drawn: Path):
    draw_dataset(tmp_path / "few", train=3, validation=0, seed=5, engine=Local(1))

    few, many = digest(tmp_path / "few" / "train"), digest(drawn / "train")
    assert few.items() <= many.items()


def test_a_split_without_images_has_its_empty_folders(tmp_path: Path):
    counts = draw_dataset(tmp_path / "raw", train=0, validation=1, seed=0, engine=Local(1))

    assert list((tmp_path / "raw/train/image").iterdir()) == []
    assert list((tmp_path / "raw/train/annos").iterdir()) == []
    assert (counts["train"], counts["validation"]) == (0, 1)
    assert counts["garments"] >= 1


def test_an_interrupted_draw_is_repeated_over_what_it_left(tmp_path: Path):
    draw_dataset(tmp_path / "raw", train=2, validation=1, seed=4, engine=Local(1))
    whole = digest(tmp_path / "raw")
    (tmp_path / "raw/train/image/000001.jpg").write_bytes(b"half a pict")
    (tmp_path / "raw/validation/annos/000001.json").unlink()

    draw_dataset(tmp_path / "raw", train=2, validation=1, seed=4, engine=Local(1))

    assert digest(tmp_path / "raw") == whole


def test_a_folder_with_other_data_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("three years of work")

    with pytest.raises(DeepmarkError, match=r"holds other data already \(thesis.txt\).*Name a new or an empty folder"):
        draw_dataset(tmp_path, train=1, validation=0, seed=1)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_draw_of_other_numbers_is_refused(tmp_path: Path):
    draw_dataset(tmp_path / "raw", train=0, validation=0, seed=1)

    with pytest.raises(DeepmarkError, match=r"data set that differs in seed .*synthetic.json.*name another folder"):
        draw_dataset(tmp_path / "raw", train=0, validation=0, seed=2)


@pytest.mark.parametrize("recipe", ["{", "[1]", "3"])
def test_a_draw_whose_recipe_is_damaged_is_refused(tmp_path: Path, recipe: str):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/synthetic.json").write_text(recipe)

    with pytest.raises(
        DeepmarkError, match=r"its recipe, which is damaged .*Go on with the same options and versions, remove it"
    ):
        draw_dataset(tmp_path / "raw", train=0, validation=0, seed=1)


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path):
    (tmp_path / "raw").write_text("")

    with pytest.raises(DeepmarkError, match=r"raw: is a file\. Name a folder"):
        draw_dataset(tmp_path / "raw", train=1, validation=0, seed=1)


def test_nothing_is_drawn_over_what_a_link_leads_to(tmp_path: Path):
    photo, raw = tmp_path / "photo.jpg", tmp_path / "raw"
    draw_dataset(raw, train=2, validation=0, seed=1, engine=Local(1))
    for number, link in ((1, Path.symlink_to), (2, Path.hardlink_to)):
        photo.write_text("mine")
        file = raw / f"train/image/00000{number}.jpg"
        file.unlink()
        link(file, photo)
        draw_dataset(raw, train=2, validation=0, seed=1, engine=Local(1))
        assert photo.read_text() == "mine"
    (raw / "train/image").rename(tmp_path / "photos")
    (raw / "train/image").symlink_to(tmp_path / "photos")

    with pytest.raises(DeepmarkError, match=r"train/image: is a link, and what it leads to would be drawn over"):
        draw_dataset(raw, train=2, validation=0, seed=1, engine=Local(1))


@pytest.mark.parametrize("name", ["train", "validation", "seed"])
def test_a_negative_number_is_refused(tmp_path: Path, name: str):
    numbers = {"train": 1, "validation": 1, "seed": 1, name: -1}

    with pytest.raises(DeepmarkError, match=f"{name} is -1. Give a whole number, 0 or more"):
        draw_dataset(tmp_path / "raw", **numbers)


def write_numbers(out: Path) -> None:
    """Two images of one grey, by a drawing that goes on."""
    recipe: dict[str, str | int] = {"drawn_by": "a test"}
    write_dataset(
        out, {"train": 2, "validation": 0}, recipe, grey, vocabulary=DEEPFASHION2, goes_on=True, engine=Local(1)
    )


def grey(split: str, index: int) -> Drawn:
    return np.full((8, 8, 3), 100, np.uint8), {"source": "shop", "pair_id": index}


@pytest.mark.parametrize("damage", [b"", b'{"sour', b"3", None])
def test_a_drawing_that_goes_on_draws_what_is_damaged_or_missing_again_and_nothing_else(tmp_path: Path, damage):
    write_numbers(tmp_path / "raw")
    whole, files = digest(tmp_path / "raw"), [tmp_path / f"raw/train/annos/00000{n}.json" for n in (1, 2)]
    kept = files[0].stat().st_mtime_ns
    files[1].unlink() if damage is None else files[1].write_bytes(damage)

    write_numbers(tmp_path / "raw")
    assert digest(tmp_path / "raw") == whole
    assert files[0].stat().st_mtime_ns == kept
