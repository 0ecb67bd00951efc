"""Images without labels: what is in the data already is left out, the rest is ranked, and goes out with detections."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from encoded_images import encoded
from vocabularies import SMALL
from workspaces import refused

from deepmark.data.records import read_records
from deepmark.infer.embed import Embedded, embed
from deepmark.infer.load_detector import load_detector
from deepmark.infer.predict import Predictor
from deepmark.labels import new_images
from deepmark.labels.rank import rank
from deepmark.model.detector import build_detector, load_network, save_detector
from deepmark.schema import FOUND_SCORE
from deepmark.synthetic.scene import draw_image
from deepmark.vocabulary import DEEPFASHION2
from deepmark.vocabulary.vocabulary_file import vocabulary_yaml
from deepmark.workspace.layout import Workspace

COUNTS = np.array([100, 4])


def seen(*peaks: tuple[int, float]) -> Embedded:
    categories, scores = zip(*peaks, strict=True) if peaks else ((), ())
    return Embedded(
        embedding=np.zeros(3, np.float32), scores=np.array(scores, np.float32), categories=np.array(categories, int)
    )


@pytest.fixture
def ready(sharded: Workspace) -> Workspace:
    """With a model that finds something in every image."""
    detector = build_detector(sharded.params.model, DEEPFASHION2, seed=1)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(1)
        torch.nn.init.normal_(detector.heads.center_heatmap.convolutions[1].weight, std=0.5)
        torch.nn.init.constant_(detector.heads.size.convolutions[1].bias, 5.0)
    save_detector(detector, sharded.model_file)
    return sharded


@pytest.fixture
def photos(ready: Workspace, tmp_path: Path) -> Path:
    """Six new images, one of them twice, two that are in the data, and two that are no images."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    drawn = [draw_image(seed=77, split="train", index=index).image for index in range(6)]
    for number, image in enumerate(drawn):
        kind = ("jpeg", "png")[number % 2]
        (folder / f"{number}.{kind}").write_bytes(encoded(image, kind, **({"quality": 92} if kind == "jpeg" else {})))
    (folder / "more/again.jpg").write_bytes(encoded(drawn[1], "jpeg", quality=70))
    shutil.copyfile(ready.raw / "train/image/000003.jpg", folder / "known.jpg")
    known = draw_image(seed=3, split="validation", index=1).image
    (folder / "validation.png").write_bytes(encoded(known, "png"))
    (folder / "broken.jpg").write_bytes((folder / "0.jpeg").read_bytes()[:2000])
    (folder / "text.png").write_text("no image", "utf-8")
    return folder


def test_what_the_network_is_unsure_of_comes_first_and_a_rare_category_before_a_frequent_one():
    images = [seen((0, 0.9)), seen((0, 0.5)), seen(), seen((1, 0.2)), seen((1, 0.5)), seen((1, 0.98))]

    found = rank(images, COUNTS, 10)
    assert [place for place, _ in found] == [4, 3, 1, 0, 5, 2]
    assert [category for _, category in found] == [1, 1, 0, 0, 1, None]
    assert rank(images, COUNTS, 2) == found[:2]


def test_more_uncertain_garments_in_an_image_are_worth_more_and_it_counts_for_the_category_that_it_adds_most_to():
    images = [seen((1, 0.5)), seen((0, 0.5), (0, 0.4), (1, 0.5)), seen((0, 0.5), (0, 0.5), (1, 0.05))]

    assert rank(images, COUNTS, 3) == [(1, 1), (0, 1), (2, 0)]


def test_a_category_is_worth_less_with_every_image_that_is_chosen_for_it():
    images = [seen((1, 0.5)) for _ in range(40)] + [seen((0, 0.5)) for _ in range(40)]

    found = rank(images, np.array([10, 4]), 40)
    assert all((place < 40) == (category == 1) for place, category in found)
    chosen = np.array([category for _, category in found])
    assert set(chosen[:12]) == {1}  # twelve halves lead from 4 to 10
    assert sorted(chosen[12:]) == [0] * 14 + [1] * 14


def test_peaks_are_those_of_the_detections_and_embeddings_tell_images_apart(ready, photos):
    detector = load_detector(ready.model_file, strategy="none", min_score=FOUND_SCORE)
    predictor = Predictor(load_network(ready.model_file), "none", ready.params.predict)
    images = [draw_image(seed=77, split="train", index=index).image for index in range(2)]
    found = embed(predictor, [predictor.prepare(image) for image in images], min_score=FOUND_SCORE)

    for one, detections in zip(found, detector(images), strict=True):
        np.testing.assert_allclose(one.scores, detections.scores, rtol=1e-5)
        np.testing.assert_array_equal(one.categories, detections.categories)
    assert found[0].embedding.shape == (load_network(ready.model_file).backbone.features,)
    assert not np.allclose(found[0].embedding, found[1].embedding)


def test_new_images_go_out_with_detections_and_what_is_left_out_is_counted(ready, photos, tmp_path, deepmark):
    place = ("--from", "new", "--workspace", ready.root)
    done = deepmark("label", "export", photos, "-r", "--limit", "4", "--out", tmp_path / "out", *place, "--json")

    assert done.code == 0, done.err
    counts = {name: done.facts[name] for name in ("found", "unreadable", "in_the_data", "repeated", "pictures")}
    assert counts == {"found": 11, "unreadable": 2, "in_the_data": 2, "repeated": 1, "pictures": 4}
    assert "broken.jpg" in done.err
    assert "text.png: " in done.err
    assert done.facts["folder_of_images"] == str(photos)
    tasks = json.loads((tmp_path / "out/tasks.json").read_text("utf-8"))
    detector = load_detector(ready.model_file)
    for task in tasks:
        file = photos / task["data"]["image"].removeprefix("/data/local-files/?d=")
        assert file.stem in set("012345")
        assert task["data"]["reasons"].startswith("May show ")
        assert set(task["data"]["deepmark"]) == {"new", "sha256"}
        detections = detector(file)
        boxes = [one for one in task["predictions"][0]["result"] if one["type"] == "rectanglelabels"]
        assert [one["model_version"] for one in task["predictions"]] == ["deepmark"]
        assert [one["value"]["rectanglelabels"] for one in boxes] == [[each.name] for each in detections.each_category]
        one, (height, width) = boxes[0], (boxes[0]["original_height"], boxes[0]["original_width"])
        corner = [one["value"]["x"] * width / 100, one["value"]["y"] * height / 100]
        np.testing.assert_allclose(corner, detections.boxes[0][:2], atol=0.01)

    back = deepmark("label", "import", tmp_path / "out/tasks.json", "--workspace", ready.root)
    assert refused(back, "task 1 is of a new image", "deepmark import FILE --from label-studio --images DIR --add")


def test_an_image_that_is_chosen_for_no_category_says_so(ready, photos, monkeypatch):
    monkeypatch.setattr(new_images, "rank", lambda images, counts, limit: [(0, None)])

    (task,), _ = new_images.new_tasks(ready, [photos], 1)
    assert task.reasons == ("There is nothing in it that the model is unsure of.",)


def test_all_that_are_left_go_out_where_more_are_wanted_and_coco_has_the_detections(ready, photos, tmp_path, deepmark):
    words = ("--from", "new", "--to", "coco", "--limit", "1000", "--workspace", ready.root)
    done = deepmark("label", "export", f"{photos}/*.*", "--out", tmp_path / "out", *words, "--json")

    assert (done.code, done.facts["pictures"]) == (0, 6)
    content = json.loads((tmp_path / "out/annotations.json").read_text("utf-8"))
    assert sorted(image["file_name"] for image in content["images"]) == sorted(
        path.name for path in photos.iterdir() if path.stem in set("012345")
    )
    assert len(content["annotations"]) == done.facts["detections"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from", "new"), "--from new: name the images: files, folders or 'patterns'"),
        (("nothing.jpg", "--from", "new"), "nothing.jpg: no such image or folder"),
        (("params.yaml", "--from", "audit"), "--from new takes others"),
        (("-", "--from", "new"), "-: is no file, and labelling tools and `deepmark import` need files"),
        (("data/raw/train/image", "--from", "new"), "None of the images is left to label: 12 found, 0 unreadable, 12 "),
        (("params.yaml", "--from", "new"), "None of the images is left to label: 1 found, 1 unreadable"),
    ],
)
def test_a_mistake_about_new_images_is_one_message(ready, monkeypatch, deepmark, words, message):
    monkeypatch.chdir(ready.root)

    done = deepmark("label", "export", *words, "--out", "out")
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert "Traceback" not in done.err
    assert not Path("out").exists()


def test_a_model_that_is_missing_or_of_another_vocabulary_is_told(ready, photos, tmp_path, deepmark):
    words = ("label", "export", photos, "--from", "new", "--out", tmp_path / "out", "--workspace", ready.root)
    (ready.root / "vocabulary.yaml").write_text(vocabulary_yaml(SMALL), "utf-8")
    assert refused(deepmark(*words), "has the vocabulary accessories, but", "Train a model for the vocabulary")
    ready.model_file.unlink()
    assert refused(deepmark(*words), "deepmark train")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").touch()
    assert refused(deepmark(*words), "there is something already. Give a new folder")


def test_what_was_labelled_joins_the_data_and_nothing_of_it_changes(ready, photos, tmp_path, deepmark):
    here = ("--workspace", ready.root)
    words = ("--from", "new", "--limit", "4", "--out", tmp_path / "out", *here)
    assert deepmark("label", "export", photos, *words).code == 0
    tasks = json.loads((tmp_path / "out/tasks.json").read_text("utf-8"))
    for task in tasks[1:]:  # the first is not labelled yet
        task["annotations"] = [{"result": task["predictions"][0]["result"], "updated_at": "2026-01-30T10:00:00Z"}]
    (tmp_path / "export.json").write_text(json.dumps(tasks), "utf-8")
    before = {path: path.read_bytes() for path in ready.raw.rglob("*") if path.is_file()}
    place = ("--from", "label-studio", "--images", photos, "--add", *here, "--json")

    done = deepmark("import", tmp_path / "export.json", *place)
    assert done.code == 0, done.err
    assert {name: done.facts[name] for name in ("in_source", "train", "set_aside")} == {
        "in_source": 4,
        "train": 3,
        "set_aside": 1,
    }
    assert {path: path.read_bytes() for path in before} == before
    assert deepmark("ingest", "--split", "train", *here).code == 0
    records = list(read_records(ready.records_file("train")))
    assert [record.id for record in records] == [*range(1, 16)]
    boxes = [one for one in tasks[1]["predictions"][0]["result"] if one["type"] == "rectanglelabels"]
    assert len(boxes) in {len(record.garments) for record in records[12:]}
    assert refused(deepmark("import", tmp_path / "export.json", *place[:-1]), "4 set aside", "none is left to add")
