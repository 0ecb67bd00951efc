"""The model that comes with DeepMark, if this installation has one: its files, and the card that says what they are.

`open.onnx` is the exported model, which detects without PyTorch. `open.safetensors` has the same weights as a model
file, from which a training can start; convolutions are stored in 16 bits there. An ONNX file cannot take its place: its
batch normalisation is part of the convolutions, and its integers have no gradient.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256, new_file
from deepmark.schema import EXPORTED_STRATEGIES

OPEN = "open"
"""What people call it, as a model and in train.init; a file or a folder of this name is ./open."""

OPEN_BACKBONE = "mobile"
"""Its `model.backbone`."""

FOLDER = Path(__file__).parent
EXPORTED, WEIGHTS, CARD = "open.onnx", "open.safetensors", "open.yaml"

MOST_BYTES = 4_000_000
"""Of each file: all of them come with every installation."""

_MAKE = "`make open-model` in a clone of DeepMark's repository makes one (hours)"


def packaged_model(strategy: str = "nms") -> Path:
    """The file that detects by this strategy: the exported model, or for "flip" and "multiscale", that show the network
    more than one image, its weights, which need PyTorch.

    Raises DeepmarkError where this installation has none, or another than its card says.
    """
    if strategy not in EXPORTED_STRATEGIES:
        return packaged_weights("or take --strategy nms, for which they are not needed")
    return _checked(EXPORTED, f"Name a model with --model, such as export/model.onnx; {_MAKE}.")


def packaged_weights(otherwise: str = "or name a model file") -> Path:
    """Its weights as a model file; raises DeepmarkError as `packaged_model`, which says what to do `otherwise`."""
    return _checked(WEIGHTS, f"{_MAKE}; {otherwise}.")


def read_card() -> dict[str, Any]:
    """What the card says; raises DeepmarkError where it is missing or damaged."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    card = FOLDER / CARD
    try:
        found = YAML(typ="safe").load(card)
        if isinstance(found, dict) and isinstance(found.get("files"), dict) and isinstance(found.get("in_short"), str):
            return found
    except FileNotFoundError:
        raise DeepmarkError(
            f"{card}: not there, and without it nothing is known of the model beside it. {_again()}"
        ) from None
    except (OSError, YAMLError, ValueError):
        pass
    raise DeepmarkError(f"{card}: damaged, or not a card. {_again()}")


def write_package(folder: Path, files: Mapping[str, Path], card: Mapping[str, Any]) -> None:
    """Put files and their card into a folder; the card comes last, with the size and sha256 of each.

    Raises DeepmarkError, and writes nothing, where a file is larger than `MOST_BYTES`.
    """
    for name, source in files.items():
        if source.stat().st_size > MOST_BYTES:
            raise DeepmarkError(
                f"{source}: {source.stat().st_size / 1e6:.1f} MB, and {name} may have {MOST_BYTES / 1e6:g} MB. "
                "Take a smaller network: model.backbone: mobile with landmark_maps: grouped."
            )
    facts = {name: {"bytes": file.stat().st_size, "sha256": file_sha256(file)} for name, file in files.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in files.items():
        with new_file(folder / name) as draft:
            draft.write_bytes(source.read_bytes())
    write_card(folder, {**card, "files": facts})


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write the card into a folder with the model's files; an earlier one is replaced."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 118
    with new_file(folder / CARD) as draft:
        yaml.dump(dict(card), draft)


def _checked(name: str, remedy: str) -> Path:
    file = FOLDER / name
    if not file.is_file():
        raise DeepmarkError(f"no model comes with this installation of DeepMark ({file} is not there). {remedy}")
    said = read_card()["files"].get(name)
    if not isinstance(said, dict) or said.get("sha256") != file_sha256(file):
        raise DeepmarkError(f"{file}: its sha256 is another than the card beside it says. {_again()}")
    return file


def _again() -> str:
    return f"Install DeepMark again, or remove {FOLDER / EXPORTED} and {FOLDER / WEIGHTS}."
