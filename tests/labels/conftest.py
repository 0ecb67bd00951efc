"""A workspace whose labels people are asked about."""

import numpy as np
import pytest
from label_tasks import IMAGE, issue

from deepmark.audit.label_issue import write_issues
from deepmark.data.predictions import write_predictions
from deepmark.labels.choose import raw_items
from deepmark.types import Detections
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace


@pytest.fixture
def asked(sharded: Workspace) -> Workspace:
    """An audit that names an item of image 2, and predictions of image 2: its own label, and a garment beside it."""
    item = next(iter(raw_items(sharded, "validation", IMAGE).values()))
    sharded.audit.mkdir(parents=True)
    copy = issue(3, None, 0.9, kind="duplicate in a split", other="train/image/000001.jpg")
    write_issues(sharded.issues_file, [copy, issue(IMAGE, "item1", 0.8), issue(5, None, 0.4, kind="missing label")])
    most = DEEPFASHION2.most_landmarks
    detections = Detections(
        boxes=np.array([item["bounding_box"], [1, 1, 20, 30]], np.float32),
        scores=np.array([0.9, 0.5], np.float32),
        categories=np.array([item["category_id"] - 1, 4]),
        landmarks=np.ones((2, most, 2), np.float32),
        landmark_scores=np.full((2, most), 0.5, np.float32),
        vocabulary=DEEPFASHION2,
    )
    write_predictions(sharded.predictions_file("multiscale"), [(IMAGE, "image/000002.jpg", detections)], {})
    return sharded
