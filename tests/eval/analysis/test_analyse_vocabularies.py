"""The analysis of other garments than DeepFashion2's: tables of three categories, one of them without landmarks."""

import numpy as np
import pandas as pd
import pytest
from vocabularies import MANY, SMALL
from vocabulary_samples import random_case

from deepmark.errors import DeepmarkError
from deepmark.eval.analysis.analyse import diagnose


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return diagnose(*random_case(SMALL, 4), vocabulary=SMALL)


def test_the_landmark_table_has_the_landmarks_of_the_vocabulary(tables):
    rows = tables["landmarks"]

    assert rows.groupby("category", sort=False).size().to_dict() == {"bag": 4, "shoe": 6}
    assert rows.part.tolist() == list(SMALL.parts)
    assert rows.labelled.min() > 0
    assert rows.error_mean.notna().all()


def test_the_confusion_is_of_its_categories(tables):
    counts = tables["confusion"]

    assert counts.truth.unique().tolist() == ["bag", "shoe", "hat", "background"]
    assert counts["count"].sum() >= len(tables["items"])
    assert counts[(counts.truth == "hat") & (counts.predicted == "hat")]["count"].item() > 0


def test_a_garment_without_landmarks_has_an_overlap_and_no_similarity(tables):
    hats = tables["items"][tables["items"].category == "hat"]

    assert hats.iou.notna().any()
    assert hats.oks.isna().all()
    assert hats.oks_visible.isna().all()


def test_curves_of_landmarks_are_of_categories_that_have_some(tables):
    curves = tables["curves"]

    assert set(curves[curves.kind == "box"].category) == {"bag", "shoe", "hat"}
    assert set(curves[curves.kind == "landmark"].category) == {"bag", "shoe"}


@pytest.mark.slow
def test_forty_categories_have_the_same_tables():
    tables = diagnose(*random_case(MANY, 1, images=60), vocabulary=MANY)

    assert len(tables["landmarks"]) == MANY.landmarks
    assert len(tables["confusion"]) == 41 * 41 - 1
    assert np.isfinite(tables["errors"].ap_cost).all()


def test_predictions_of_another_vocabulary_are_refused():
    with pytest.raises(DeepmarkError, match="accessories"):
        diagnose(*random_case(SMALL, 4))
