"""What a data set's garments are: its categories, and the landmarks of each."""

from deepmark.vocabulary.category import Category, Shape
from deepmark.vocabulary.deepfashion2 import DEEPFASHION2
from deepmark.vocabulary.vocabulary import Vocabulary, check_same
from deepmark.vocabulary.vocabulary_json import (
    restored_vocabulary,
    stored_vocabulary,
    vocabulary_from_json,
    vocabulary_json,
)

__all__ = [
    "DEEPFASHION2",
    "Category",
    "Shape",
    "Vocabulary",
    "check_same",
    "restored_vocabulary",
    "stored_vocabulary",
    "vocabulary_from_json",
    "vocabulary_json",
]
