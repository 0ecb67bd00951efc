"""A vocabulary as JSON: how it travels in the files that were made for it, and back."""

import copyreg
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from deepmark.errors import DeepmarkError
from deepmark.vocabulary.deepfashion2 import DEEPFASHION2
from deepmark.vocabulary.plain_form import checked_vocabulary, plain_form
from deepmark.vocabulary.vocabulary import Vocabulary


def vocabulary_json(vocabulary: Vocabulary) -> str:
    """One line of JSON, the same for the same vocabulary; `vocabulary_from_json` reads an equal one from it."""
    return json.dumps(plain_form(vocabulary), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@lru_cache(maxsize=32)  # every batch of predictions comes with the text
def vocabulary_from_json(text: str | bytes, where: object) -> Vocabulary:
    """The vocabulary in a text, which is checked as strictly as vocabulary.yaml; `where` names its place in messages.

    Raises:
        DeepmarkError: it is no JSON, or no vocabulary.
    """
    try:
        content = json.loads(text, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DeepmarkError(f"{where}: its vocabulary cannot be read as JSON: {reason}. Make the file again.") from None
    return checked_vocabulary(content, lambda place: f"{where}: vocabulary")


def stored_vocabulary(vocabulary: Vocabulary) -> str | None:
    """What a file stores of the vocabulary that it was made for: nothing where it is DeepFashion2's, else JSON."""
    return None if vocabulary == DEEPFASHION2 else vocabulary_json(vocabulary)


def restored_vocabulary(text: str | bytes | None, where: object) -> Vocabulary:
    """The vocabulary of a file that `stored_vocabulary` gave `text` for.

    Raises:
        DeepmarkError: the text is no vocabulary.
    """
    return DEEPFASHION2 if text is None else vocabulary_from_json(text, where)


def _reduced(vocabulary: Vocabulary) -> tuple[Callable[..., Vocabulary], tuple[str | None, str]]:
    return restored_vocabulary, (stored_vocabulary(vocabulary), "what another process sent")


copyreg.pickle(Vocabulary, _reduced)  # so results of other processes are small, and have the built-in one as it is


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return values
