"""The contract of an exported model: what goes in, what comes out, and which checkpoint, parameters and data made it.

It is one JSON text, in the metadata of the ONNX file under `METADATA_KEY` and beside it as model.json, so that programs
in any language can use the file.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from deepmark.errors import DeepmarkError
from deepmark.vocabulary import DEEPFASHION2, Vocabulary
from deepmark.vocabulary.plain_form import checked_vocabulary, plain_form

FORMAT, VERSION = "deepmark onnx", 3
"""Version 2 has `predict.rescore` and `landmark_blend`, version 3 `vocabulary`. Contracts that use none of them are of
version 1, and those that use only the former of version 2, which earlier programs read."""

METADATA_KEY = "deepmark"
"""In the metadata of an ONNX file."""

PRECISIONS = ("float32", "float16", "int8")
"""Of the stored weights; float16 computes in float32, int8 has its backbone in integers and its heads in float."""

FILES = {"float32": "model.onnx", "float16": "model_fp16.onnx", "int8": "model_int8.onnx"}
"""The file of each precision in a folder of exported ones."""


def flip_file(file: str) -> str:
    """The name of the file that serves the strategy flip, beside this one: its graph sees each image mirrored, too."""
    return file.replace(".onnx", "_flip.onnx")


CONTRACT_FILE = "model.json"
"""The contract of model.onnx, which the other files have but for their precision."""

_EXPORT = "Give a file that `deepmark export` wrote."
_REMEDY = "Copy it again, or run `deepmark export` again."


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictFacts:
    """How the network's output becomes detections; as in the section `predict` of params.yaml."""

    max_detections: int
    """Rows of every output."""

    landmark_threshold: float
    peaks: int
    """The strongest peaks of a landmark's heatmap, of which one may place the landmark."""

    nms: str
    """hard or soft; the graph leaves it to the caller, as all of the following."""

    nms_iou: float
    soft_nms_sigma: float
    min_score: float
    rescore: bool = False
    """Whether a landmark result has a score of its own: score x sqrt(mean of the category's own landmark_scores).

    This and the following are in the file only where they are on.
    """

    landmark_blend: float = 0.0
    """Share of the way back from the peak that placed a landmark to where the garment's vector put it; the graph has
    done it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorFacts:
    """An input or an output of the graph."""

    name: str
    dtype: str
    """uint8, int64 or float32."""

    shape: tuple[int | str, ...]
    """A dimension of any length has a name."""

    meaning: str
    """For people: content, order and unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """What a program must know of an exported model."""

    input_size: tuple[int, int]
    """Height and width of the canvas, pixels: an image is scaled to fit, in the middle, zeros around it."""

    strategies: tuple[str, ...]
    """The inference strategies that the graph serves: none and nms, or flip."""

    predict: PredictFacts
    precision: str
    vocabulary: Vocabulary
    """What it detects. In JSON it is `categories`, a list of {name, landmarks} in the order of the outputs; and, where
    it is not DeepFashion2's, `vocabulary`, which holds what vocabulary.yaml does."""

    mean: tuple[float, ...]
    """Of R, G, B in 0..1; the graph normalises its input itself."""

    std: tuple[float, ...]
    versions: Mapping[str, str]
    """Of deepmark, torch and onnx_opset."""

    sha256: Mapping[str, str]
    """Of the checkpoint, and of the parameters that made this file of it."""

    data_version: str | None
    """DVC's md5 of the shards that the checkpoint was trained on, where it is known."""

    facts: Mapping[str, str]
    """What the checkpoint says about its origin, such as its MLflow run."""

    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]

    def to_json(self) -> str:
        """The contract as JSON; equal contracts give equal text."""
        values: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Vocabulary):
                values["categories"] = _categories(value)
            else:
                values[one.name] = _plain(value)
        added = {one.name: one.default for one in fields(PredictFacts) if one.default is not MISSING}
        used = [name for name, off in added.items() if values["predict"][name] != off]
        for name in added.keys() - set(used):
            del values["predict"][name]
        version = 2 if used else 1
        if self.vocabulary != DEEPFASHION2:
            version, values["vocabulary"] = VERSION, plain_form(self.vocabulary)
        return json.dumps({"format": f"{FORMAT} {version}", **values}, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> "Contract":
        """The contract in a JSON text; `where`, the file, begins every message.

        Raises DeepmarkError where it is no contract, is damaged, is of a newer version of DeepMark, or has other
        categories than its vocabulary.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise DeepmarkError(f"{where}: its contract is damaged, or not JSON ({error}). {_REMEDY}") from None
        if not isinstance(values, dict) or not str(values.get("format", "")).startswith(FORMAT):
            raise DeepmarkError(f"{where}: no contract of an exported DeepMark model. {_EXPORT}")
        number = str(values.pop("format")).removeprefix(FORMAT).strip()
        if number.isdecimal() and int(number) > VERSION:
            raise DeepmarkError(
                f"{where}: its contract is of version {number}, and this DeepMark knows up to {VERSION}. Update "
                "DeepMark, or export the model again with this one."
            )
        try:
            if "categories" not in values:
                raise ValueError("contract: 'categories' is missing")
            vocabulary = DEEPFASHION2
            if "vocabulary" in values:
                vocabulary = checked_vocabulary(values["vocabulary"], lambda place: f"{where}: vocabulary")
            categories, values["vocabulary"] = values.pop("categories"), vocabulary
            contract: Contract = _read(cls, values, "contract")
        except ValueError as error:
            raise DeepmarkError(f"{where}: its contract is damaged ({error}). {_REMEDY}") from None
        contract._check_categories(categories, where)
        return contract

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], where: str) -> "Contract":
        """The contract in the metadata of an ONNX file, `session.get_modelmeta().custom_metadata_map`.

        Raises DeepmarkError as `from_json`, and where the file has none.
        """
        if METADATA_KEY not in metadata:
            raise DeepmarkError(f"{where}: an ONNX file, but not one of DeepMark's: it has no contract. {_EXPORT}")
        return cls.from_json(metadata[METADATA_KEY], where)

    @classmethod
    def read(cls, path: Path) -> "Contract":
        """The contract in a model.json.

        Raises DeepmarkError as `from_json`, and where the file is missing or not text.
        """
        try:
            return cls.from_json(path.read_text("utf-8"), str(path))
        except FileNotFoundError:
            raise DeepmarkError(f"{path}: no such file. `deepmark export` makes it.") from None
        except UnicodeDecodeError:
            raise DeepmarkError(f"{path}: damaged, or not JSON (it is not UTF-8 text). {_REMEDY}") from None

    def check_fits(self, inputs: Iterable[Any], outputs: Iterable[Any], where: str) -> None:
        """Compare with what onnxruntime says of the graph: `session.get_inputs()` and `get_outputs()`.

        Raises DeepmarkError where a tensor has another name, type or shape than the contract says.
        """
        for kind, said, found in (("inputs", self.inputs, inputs), ("outputs", self.outputs, outputs)):
            wanted = [_form(one.name, f"tensor({one.dtype.replace('float32', 'float')})", one.shape) for one in said]
            actual = [_form(one.name, one.type, one.shape) for one in found]
            if wanted != actual:
                raise DeepmarkError(
                    f"{where}: its contract does not fit: it says {kind} {', '.join(wanted)}, and the graph has "
                    f"{', '.join(actual)}. {_REMEDY}"
                )

    def _check_categories(self, said: Any, where: str) -> None:
        own = _categories(self.vocabulary)
        if said != own:
            found = said if isinstance(said, list) else []
            other = [
                str(a.get("name") if isinstance(a, dict) else a) for a, b in zip(found, own, strict=False) if a != b
            ]
            raise DeepmarkError(
                f"{where}: its contract does not fit: it has {len(found)} categories, and the vocabulary "
                f"{self.vocabulary.name} {len(own)} with landmarks of their own"
                f"{f'; {other[0]!r} differs' if other else ''}. Use the version of DeepMark that exported it "
                f"({self.versions.get('deepmark', 'unknown')})."
            )


def _categories(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    return [{"name": one.name, "landmarks": list(one.parts)} for one in vocabulary.categories]


def _plain(value: Any) -> Any:
    """The value for JSON."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def graph_inputs(input_size: tuple[int, int]) -> tuple[TensorFacts, ...]:
    """What goes into an exported model."""
    meaning = "RGB canvases: an image scaled to fit, in the middle, zeros around it"
    return (TensorFacts(name="images", dtype="uint8", shape=("batch", *input_size, 3), meaning=meaning),)


def graph_outputs(rows: int, vocabulary: Vocabulary) -> tuple[TensorFacts, ...]:
    """What comes out of it: so many garments an image, best first; in rows without a garment the score is 0."""
    most, last = vocabulary.most_landmarks, len(vocabulary.categories) - 1
    columns = (
        ("boxes", "float32", (4,), "x0 y0 x1 y1, pixels of the canvas, not clipped"),
        ("scores", "float32", (), "0..1, never increasing; 0 where there is no garment"),
        ("categories", "int64", (), f"0..{last}, the index in `categories`"),
        ("landmarks", "float32", (most, 2), "x y, pixels of the canvas; 0 past the category's own landmarks"),
        ("landmark_scores", "float32", (most,), "0..1, height of the peak that placed it; 0 where none did"),
    )
    return tuple(
        TensorFacts(name=name, dtype=dtype, shape=("batch", rows, *shape), meaning=meaning)
        for name, dtype, shape, meaning in columns
    )


def _form(name: str, dtype: str, shape: Iterable[int | str | None]) -> str:
    """A tensor in words, such as "boxes tensor(float) [* 100 4]"; dimensions of any length are alike."""
    return f"{name} {dtype} [{' '.join(str(side) if isinstance(side, int) else '*' for side in shape)}]"


def _read(kind: Any, value: Any, name: str) -> Any:
    """The value of JSON as a dataclass, tuple, mapping, number or text of type `kind`; a vocabulary is one already.

    Raises ValueError, with the name of the field, where it is of another type.
    """
    if isinstance(value, Vocabulary):
        return value
    if is_dataclass(kind) and isinstance(kind, type):
        given, known = _typed(dict, value, name), get_type_hints(kind)
        optional = {one.name for one in fields(kind) if one.default is not MISSING}
        if unlike := sorted((given.keys() ^ known.keys()) - (optional - given.keys())):
            raise ValueError(f"{name}: '{unlike[0]}' is {'missing' if unlike[0] in known else 'unknown'}")
        return kind(**{key: _read(hint, given[key], f"{name}.{key}") for key, hint in known.items() if key in given})
    parts = get_args(kind)
    if get_origin(kind) is tuple:
        items = _typed(list, value, name)
        if parts[-1] is not Ellipsis and len(parts) != len(items):
            raise ValueError(f"{name}: {len(items)} values instead of {len(parts)}")
        return tuple(_read(parts[0], item, f"{name}[{number}]") for number, item in enumerate(items))
    if get_origin(kind) is Mapping:
        return {key: _read(parts[1], item, f"{name}.{key}") for key, item in _typed(dict, value, name).items()}
    if get_origin(kind) is UnionType:
        return _typed(parts, value, name)
    return float(_typed((int, float), value, name)) if kind is float else _typed(kind, value, name)


def _typed(kind: type | tuple[type, ...], value: Any, name: str) -> Any:
    if isinstance(value, bool) is not (kind is bool) or not isinstance(value, kind):
        raise ValueError(f"{name}: {value!r} is of the wrong type")
    return value
