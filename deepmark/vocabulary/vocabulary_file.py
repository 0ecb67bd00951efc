"""vocabulary.yaml: the categories and landmarks of a team's own data, read and written."""

import io
from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError, check_merged
from deepmark.vocabulary.plain_form import CONTOURS, Place, checked_vocabulary, plain_form
from deepmark.vocabulary.vocabulary import Vocabulary

FILE = "vocabulary.yaml"
"""Its name in a workspace, beside params.yaml."""


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary of a YAML file.

    Raises:
        DeepmarkError: it is missing, no YAML, or has anything that is unknown, missing or wrong; the message names the
            file, the line and the keys.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text("utf-8")
        check_merged(path, text)
        content = YAML().load(text)
    except FileNotFoundError:
        raise DeepmarkError(
            f"{path}: no such file. docs/own_data.md says what it holds; `deepmark vocabulary from-coco` makes one."
        ) from None
    except MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DeepmarkError(f"{path}{line}: not YAML: {error.problem or 'cannot be read'}.") from None
    except RecursionError:
        raise DeepmarkError(f"{path}: not YAML: its brackets are nested too deeply.") from None
    except (OSError, ValueError, YAMLError) as error:
        raise DeepmarkError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())[:200]}") from None
    return checked_vocabulary(content, lambda place: f"{path}, line {_line(content, place) + 1}")


def _line(content: Any, place: Place) -> int:
    """The line, from 0, of the deepest value on the way to a place that knows its own."""
    line = 0
    for key in place:
        if not isinstance(content, dict | list):
            return line
        known = getattr(content, "lc", None)
        at = (known.data or {}).get(key) if known is not None else None
        line = at[0] if at else line
        try:
            content = content[key]  # type: ignore[index]
        except (IndexError, KeyError, TypeError):
            return line
    return line


def vocabulary_yaml(vocabulary: Vocabulary, comment: str = "") -> str:
    """The text of a vocabulary.yaml for people to edit: a line for each landmark and contour, after a comment."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    def on_one_line(value: Any) -> Any:
        node = CommentedMap(value) if isinstance(value, dict) else CommentedSeq(value)
        node.fa.set_flow_style()
        return node

    plain = plain_form(vocabulary)
    for category in plain["categories"]:
        for key in {"landmarks", *CONTOURS} & set(category):
            category[key] = [on_one_line(entry) for entry in category[key]]
        if "outline" in category:
            category["outline"] = on_one_line(category["outline"])
    yaml, out = YAML(), io.StringIO()
    yaml.width = 2**16
    yaml.representer.ignore_aliases = lambda data: True  # a point of two contours is written twice, without an anchor
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(plain, out)
    return "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines()) + out.getvalue()
