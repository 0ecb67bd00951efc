"""Real pictures go the same way as drawn ones. None may be kept here: name a folder of your own.

    DEEPMARK_REAL_SAMPLES=/path/to/folder pytest tests/test_real_samples.py

The folder is laid out as DeepFashion2 unzips: train/image/NNNNNN.jpg with train/annos/NNNNNN.json, or validation/…
A picture or an annotation without its partner is set aside, as in any ingest.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from deepmark.data.augment import make_sample
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.shards.reader import ShardReader
from deepmark.data.shards.writer import write_shards
from deepmark.params import AugmentParams, IngestParams
from deepmark.schema import SPLITS
from deepmark.train.targets import collate, make_targets
from deepmark.vocabulary import DEEPFASHION2

FOLDER = os.environ.get("DEEPMARK_REAL_SAMPLES")
CANVAS = (256, 256)
AUGMENT = AugmentParams(scale=(0.6, 1.3), shift=1.0, mirror=0.5, color=0.4, lighting=0.1)

pytestmark = pytest.mark.skipif(FOLDER is None, reason="DEEPMARK_REAL_SAMPLES names no folder of DeepFashion2 samples")


@pytest.fixture(scope="module")
def splits() -> list[str]:
    found = [split for split in SPLITS if (Path(FOLDER or "") / split / "image").is_dir()]
    assert found, f"{FOLDER}: neither train/image nor validation/image is there"
    return found


@pytest.fixture(scope="module")
def readers(splits, tmp_path_factory) -> list[ShardReader]:
    """The samples of each split, after ingest and shard."""
    out, readers = tmp_path_factory.mktemp("real"), []
    for split in splits:
        params = IngestParams(max_rejected_share=1.0, max_megapixels=50)
        result = ingest_split(Path(FOLDER or ""), split=split, out=out, params=params, vocabulary=DEEPFASHION2)
        print(result)
        assert result.records, f"{split}: nothing was kept: {result.kinds}"
        write_shards(
            out / f"{split}.parquet", Path(FOLDER or ""), out / "shards" / split, split=split, seed=1, target_mib=32
        )
        readers.append(ShardReader(out / "shards" / split))
        assert len(readers[-1]) == result.records
    return readers


def test_real_records_are_garments_with_landmarks_inside_their_pictures(readers):
    for reader in readers:
        for position in range(len(reader)):
            record, jpeg = reader[position]
            assert jpeg == (Path(FOLDER or "") / reader.split / f"image/{reader.key(position)}.jpg").read_bytes()
            assert record.garments
            for garment in record.garments:
                assert len(garment.landmarks) == DEEPFASHION2.categories[garment.category].landmarks
                x0, y0, x1, y1 = garment.box
                assert 0 <= x0 < x1 <= record.width
                assert 0 <= y0 < y1 <= record.height


@pytest.mark.parametrize("augment", [None, AUGMENT], ids=["plain", "augmented"])
def test_real_pictures_become_samples_and_targets(readers, augment):
    for reader in readers:
        samples = []
        for position in range(len(reader)):
            record, jpeg = reader[position]
            rng = np.random.default_rng(position)
            samples.append(make_sample(record, jpeg, canvas=CANVAS, augment=augment, rng=rng, vocabulary=DEEPFASHION2))
        targets = make_targets(collate(samples), DEEPFASHION2)

        garments, landmarks = targets.counts.tolist()
        assert garments == sum(len(sample.categories) for sample in samples)
        assert augment is not None or garments == sum(len(reader.record(i).garments) for i in range(len(reader)))
        assert augment is not None or landmarks > 0


def test_real_pictures_are_seen_whole_when_nothing_is_augmented(readers):
    for reader in readers:
        record, jpeg = reader[0]
        sample = make_sample(
            record, jpeg, canvas=CANVAS, augment=None, rng=np.random.default_rng(0), vocabulary=DEEPFASHION2
        )

        assert sample.image.shape == (*CANVAS, 3)
        assert sample.image.std() > 5
