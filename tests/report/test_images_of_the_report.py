"""Pictures fit into the page's bytes, and say what is on them."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from measurements import item, items, picture
from PIL import Image

from deepmark.report.images import MOST_BYTES_EACH, data_uris, describe, encode_webp, item_lines, overview
from deepmark.types import Detections, ImageRecord


def noise(height: int = 400, width: int = 600, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def decoded(uri: str) -> np.ndarray:
    assert uri.startswith("data:image/webp;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def test_a_picture_that_fits_keeps_its_size_and_its_colours():
    image = np.full((300, 500, 3), (200, 40, 90), np.uint8)
    (uri,) = data_uris([image])

    assert decoded(uri).shape == image.shape
    assert np.abs(decoded(uri).astype(int) - image).max() < 8


def test_a_large_picture_is_made_smaller_in_its_own_proportions():
    (uri,) = data_uris([np.full((1000, 2000, 3), 128, np.uint8)])

    assert decoded(uri).shape == (500, 1000, 3)


@pytest.mark.parametrize("most", [60_000, 25_000, 9_000])
def test_even_noise_fits_into_the_bytes_there_are(most):
    assert len(encode_webp(noise(), most)) <= most


def test_pictures_share_the_bytes_and_what_one_spares_goes_to_the_next():
    plain, rough = np.full((400, 600, 3), 128, np.uint8), noise()
    together = [len(base64.b64decode(uri.partition(",")[2])) for uri in data_uris([plain, rough], most_bytes=60_000)]
    crowded = [len(base64.b64decode(uri.partition(",")[2])) for uri in data_uris([rough, rough], most_bytes=60_000)]

    assert sum(together) <= 60_000
    assert sum(crowded) <= 60_000
    assert together[1] > crowded[0]
    assert max(together) <= MOST_BYTES_EACH


def test_the_reasons_are_gathered_by_kind():
    one = picture(1, ("best", "vest"), ("worst", "scale: small"), ("best", "sling"))

    assert one.why == "worst: scale: small; best: vest, sling"


def test_items_say_how_they_were_found():
    rows = items(item(1), item(1, "skirt", found=None), item(1, found="sling", oks=np.nan))

    assert list(item_lines(rows)) == [
        "vest: found, score 0.90, IoU 0.80, OKS 0.70",
        "skirt: missed",
        "vest: taken for sling, score 0.90, IoU 0.80",
    ]
    assert list(item_lines(pd.DataFrame([item(1, found=None)]))) == ["vest: missed"]


def test_a_picture_with_nothing_on_it_is_described():
    record = ImageRecord(id=1, file="", sha256="", bytes=1, width=9, height=9, source="shop", pair_id=1, garments=())
    nothing = Detections(
        boxes=np.zeros((0, 4), np.float32),
        scores=np.zeros(0, np.float32),
        categories=np.zeros(0, np.int64),
        landmarks=np.zeros((0, 39, 2), np.float32),
        landmark_scores=np.zeros((0, 39), np.float32),
    )

    assert describe(record, nothing, min_score=0.3) == "Labelled: nothing. Found: nothing."


def test_the_overview_is_a_row_of_small_pictures():
    row = overview([picture(1, image=noise(640, 400)), picture(2, image=noise(100, 100))])

    assert row is not None
    assert row.shape == (320, 666 + 8 + 666, 3)
    assert overview([]) is None
