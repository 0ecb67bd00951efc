import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
import simplejpeg

from deepmark.audit import duplicates
from deepmark.audit.duplicates import ImageHashes, hash_split, identical_files, shared_images
from deepmark.audit.perceptual_hash import correlation, near_pairs, perceptual_hashes
from deepmark.compute.local import Local
from deepmark.data.shards.reader import ShardReader
from deepmark.synthetic.scene import draw_image


@pytest.fixture(scope="module")
def images():
    return [draw_image(seed=2, split="train", index=index).image for index in range(12)]


def jpeg(image, quality=90):
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=quality, colorspace="RGB")


def hashes(split, images):
    made = [perceptual_hashes(jpeg(image, 60 if split == "validation" else 90)) for image in images]
    return ImageHashes(
        split=split,
        image_ids=np.arange(1, len(images) + 1),
        files=[f"image/{number:06d}.jpg" for number in range(1, len(images) + 1)],
        sha256=sums(*(f"{split} {number}" for number in range(len(images)))),
        bits=np.array([bits for bits, _ in made], np.uint64).reshape(-1, 2),
        thumbnails=np.array([thumbnail for _, thumbnail in made], np.uint8).reshape(-1, 16, 16).__getitem__,
    )


def sums(*texts):
    digests = b"".join(hashlib.sha256(text.encode()).digest() for text in texts)
    return np.frombuffer(digests, np.uint64).reshape(-1, 4)


def shared(validation, train):
    found = shared_images(hashes("validation", validation), [hashes("train", train)], radius=10, min_score=0.5)
    return [(one.image_id, one.other) for one in found]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: cv2.resize(image, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA),
        lambda image: image[:, ::-1],
        lambda image: cv2.convertScaleAbs(image, alpha=0.8, beta=20),
    ],
    ids=["recompressed", "smaller", "mirrored", "paler"],
)
def test_a_changed_copy_is_found_with_its_original(images, change):
    assert shared([images[0], change(images[5])], images[3:]) == [(2, "train/image/000003.jpg")]


def test_different_images_are_no_duplicates(images):
    assert shared(images[:6], images[6:]) == []


@pytest.mark.parametrize("empty", ["validation", "train"])
def test_a_split_without_images_shares_none(images, empty):
    assert shared([] if empty == "validation" else images, [] if empty == "train" else images) == []


def test_the_same_file_across_splits_is_certain(images):
    one, other = hashes("validation", images[:1]), hashes("train", images[:1])
    (found,) = shared_images(one, [replace(other, sha256=one.sha256)], radius=10, min_score=0.5)

    assert (found.score, found.kind) == (1.0, "duplicate across splits")
    assert "same file" in found.reason


def test_a_file_that_is_in_a_split_twice_is_named_with_the_first(images):
    twice = replace(hashes("train", images[:3]), sha256=sums("a", "b", "a"))
    (found,) = identical_files(twice)

    assert (found.image_id, found.other, found.item) == (3, "train/image/000001.jpg", None)


def test_every_repeated_file_is_named_with_the_lowest_number_that_has_it(images):
    several = replace(
        hashes("train", images[:6]), image_ids=np.array([4, 2, 9, 1, 3, 7]), sha256=sums("a", "b", "b", "a", "c", "a")
    )

    found = [(one.image_id, one.other) for one in identical_files(several)]
    assert found == [(4, "train/image/000004.jpg"), (7, "train/image/000004.jpg"), (9, "train/image/000002.jpg")]


@pytest.mark.slow
def test_the_hashes_of_shards_are_those_of_their_images(sharded_once, monkeypatch):
    monkeypatch.setattr(duplicates, "_PIECE", 5)
    reader = ShardReader(sharded_once.shards("train"))
    samples = list(reader)
    made = [perceptual_hashes(jpeg) for _, jpeg in samples]
    for workers in (1, 2):
        counted: list[int] = []
        found = hash_split(reader, Local(workers), progress=counted.append)

        assert counted == [5, 5, 2]
        assert found.image_ids.tolist() == [record.id for record, _ in samples]
        assert [str(file) for file in found.files] == [record.file for record, _ in samples]
        assert found.sha256.tobytes().hex() == "".join(record.sha256 for record, _ in samples)
        assert found.bits.tolist() == [bits.tolist() for bits, _ in made]
        assert found.thumbnails(np.array([7, 2])).tolist() == [made[7][1].tolist(), made[2][1].tolist()]


@pytest.mark.parametrize("radius", [0, 3, 10])
def test_pairs_within_the_radius_are_those_of_comparing_all_with_all(radius):
    rng = np.random.default_rng(radius)
    a = rng.integers(0, 2**63, 300, dtype=np.uint64)
    flips = [sum(1 << int(bit) for bit in rng.choice(64, rng.integers(0, 14), replace=False)) for _ in range(300)]
    b = np.concatenate([a ^ np.array(flips, np.uint64), a[:5], a[:5]])
    expected = np.argwhere(np.bitwise_count(a[:, None] ^ b) <= radius)

    assert len(expected) >= 10
    assert np.stack(near_pairs(a, b, radius=radius), axis=1).tolist() == expected.tolist()


def test_images_of_one_grey_correlate_only_when_they_are_equal():
    grey, white = (np.full((16, 16), value, np.uint8) for value in (128, 255))

    assert correlation(grey, grey) == 1.0
    assert correlation(grey, white) == 0.0


def test_an_image_of_a_few_pixels_has_a_hash_too():
    bits, thumbnail = perceptual_hashes(jpeg(np.full((3, 5, 3), 200, np.uint8)))

    assert (bits.shape, thumbnail.shape) == ((2,), (16, 16))
