"""The detector: a backbone with its heads, and the file that holds it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from deepmark.digests import NO_DIGEST, check_digest, new_file_with_digest
from deepmark.errors import DeepmarkError, as_path, missing_model
from deepmark.model.backbones.deform import DeformConv2d
from deepmark.model.backbones.dla import DLA34
from deepmark.model.backbones.hourglass import Hourglass104
from deepmark.model.backbones.mobile import Mobile
from deepmark.model.heads import STRIDE, CellIndex, GatheredHeads, HeadMaps, Heads
from deepmark.model.landmark_channels import LandmarkLayout, landmark_layout
from deepmark.params import ModelParams, PredictParams
from deepmark.shapes import Float, UInt8
from deepmark.version import __version__
from deepmark.vocabulary import Vocabulary, restored_vocabulary, stored_vocabulary

__all__ = ["STRIDE", "Detector", "build_detector", "count_parameters", "load_network", "save_detector"]

MEAN, STD = (0.470, 0.447, 0.408), (0.278, 0.274, 0.289)
"""Of the channels R, G, B in 0..1: CenterNet's values for COCO, which it lists as B, G, R."""

HIDDEN = {"dla34": 256, "hourglass104": 256, "mobile": 64}
"""Channels inside a head: CenterNet's for its two networks."""

_FORMAT = "deepmark detector 1"
_DESCRIPTION = "deepmark"
"""The one entry of the file's metadata: JSON."""

_TORCH_FILES = (b"PK\x03\x04", b"\x80\x02\x8a\n")
"""How files of torch.save begin: a ZIP archive, or before torch 1.6 a pickle."""

_REMEDY = "Copy it again, or run `deepmark train` again."
"""For a damaged file."""


class Detector(nn.Module):
    """The network that locates garments and their landmarks: images in, `HeadMaps` out."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, backbone: nn.Module, heads: Heads, params: ModelParams, *, earlier_heads: Sequence[Heads] = ()
    ) -> None:
        super().__init__()
        self.backbone = backbone
        """Gives a tuple of feature maps, one per stack."""

        self.heads = heads
        """Of the last stack; detection uses these."""

        self.earlier_heads = nn.ModuleList(earlier_heads)
        """Of the stacks before it; only training computes these."""

        self.params = params
        self.facts: dict[str, str] = {}
        """What the model file says about its origin."""

        self.predict_params: PredictParams | None = None
        """How the model file says that images are to be predicted; None where it does not say."""

        self.register_buffer("mean", torch.tensor(MEAN), persistent=False)
        self.register_buffer("std", torch.tensor(STD), persistent=False)

    def forward(
        self, images: Float[Tensor, "b 3 h w"], gather_at: tuple[CellIndex, CellIndex] | None = None
    ) -> HeadMaps | tuple[GatheredHeads, ...]:
        """The maps of normalised RGB images, whose sides are multiples of `params.size_divisor`.

        `gather_at`, the cells of centres and of landmarks, is for training: the heads of every stack are computed, the
        last stack's last, and only at the cells that the loss needs.
        """
        *earlier, features = self.backbone(images)
        if gather_at is None:
            return self.heads(features)
        stacks = zip((*self.earlier_heads, self.heads), (*earlier, features), strict=True)
        return tuple(heads.gather_at(seen, *gather_at) for heads, seen in stacks)

    def normalize(self, images: UInt8[Tensor, "b h w 3"]) -> Float[Tensor, "b 3 h w"]:
        """RGB bytes, on the device of the weights, as input of the network; channels stay last in memory."""
        scaled = images * (1 / (255 * self.std)) - self.mean / self.std
        return scaled.permute(0, 3, 1, 2)

    @property
    def layout(self) -> LandmarkLayout:
        """Which landmark each channel of its maps shows."""
        return self.heads.layout

    @property
    def vocabulary(self) -> Vocabulary:
        """The garments that it detects."""
        return self.heads.layout.vocabulary


def build_detector(
    params: ModelParams, vocabulary: Vocabulary, *, seed: int | None, channels_last: bool = True
) -> Detector:
    """A network to be trained: the same start values for the same seed, whatever the state of torch's generators.

    The seed None is for weights that will be loaded anyway, and leaves torch's own start values. No generator's state
    is changed. With channels last in memory convolutions are faster, on GPUs and on one CPU core.
    """
    with torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        backbone, layout = _build_backbone(params), landmark_layout(vocabulary, params.landmark_maps)
        hidden = HIDDEN[params.backbone]
        *earlier, heads = (Heads(backbone.features, hidden=hidden, layout=layout) for _ in range(backbone.stacks))
        detector = Detector(backbone, heads, params, earlier_heads=earlier)
        if seed is not None:
            _reset_parameters(detector)
    if channels_last:
        _store_channels_last(backbone)
    return detector


def _build_backbone(params: ModelParams) -> DLA34 | Hourglass104 | Mobile:
    if params.backbone == "dla34":
        return DLA34(deformable=params.deformable)
    return Hourglass104() if params.backbone == "hourglass104" else Mobile()


@torch.no_grad()
def _store_channels_last(backbone: nn.Module) -> None:
    """Store weights in the memory order of their input, except those of 1x1 convolutions; heads stay as they are."""
    for weight in backbone.parameters():
        if weight.ndim == 4 and weight.shape[2] > 1:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)


def _reset_parameters(detector: Detector) -> None:
    """Start values that keep the variance of the signal through ReLUs (Delving Deep into Rectifiers, 2015)."""
    for module in detector.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in detector.modules():
        if isinstance(module, DeformConv2d):
            module.reset_parameters()
    for heads in (*detector.earlier_heads, detector.heads):
        heads.reset_outputs()


def count_parameters(module: nn.Module) -> int:
    """The number of values that training may change."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def save_detector(
    detector: Detector,
    path: Path,
    *,
    facts: Mapping[str, str] | None = None,
    predict: PredictParams | None = None,
    half: bool = False,
) -> None:
    """Write everything that is needed to run the network, as safetensors with a digest, whole or not at all.

    `facts` (dataset version, MLflow run, …) and `predict` (that section of params.yaml) are stored with it and come
    back as `detector.facts` and `detector.predict_params`. With `half`, convolutions are stored in 16 bits, half the
    bytes; they are loaded as 32 bits again.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in detector.state_dict().items()}
    if half:
        weights = {name: tensor.half() if tensor.ndim == 4 else tensor for name, tensor in weights.items()}
    description = {
        "digest": NO_DIGEST,
        "format": _FORMAT,
        "version": __version__,
        "model": detector.params.model_dump_json(),
        "mean": json.dumps(detector.mean.tolist()),
        "std": json.dumps(detector.std.tolist()),
        "categories": json.dumps([category.name for category in detector.vocabulary.categories]),
        "landmark_channels": json.dumps(detector.layout.channel_of),
        "facts": json.dumps(dict(facts or {}), sort_keys=True),
    }
    if predict is not None:
        description["predict"] = predict.stored_json()
    if (vocabulary := stored_vocabulary(detector.vocabulary)) is not None:
        description["vocabulary"] = vocabulary
    # One entry: safetensors writes several in any order, and the same model would have another sha256 each time.
    metadata = {_DESCRIPTION: json.dumps(description)}
    with new_file_with_digest(path) as draft:
        save_file(weights, draft, metadata)


def load_network(path: str | PathLike[str], *, device: torch.device | str = "cpu") -> Detector:
    """The network from its file, ready to detect (in eval mode).

    Raises DeepmarkError where the file is missing, damaged, not a DeepMark model, or of another shape.
    """
    path = as_path(path, "load_network: path")
    stored = read_detector(path)
    detector = build_detector(stored.params, stored.vocabulary, seed=None)
    _check_shapes(path, stored.weights, detector.state_dict())
    detector.load_state_dict(stored.weights)
    detector.mean.copy_(torch.tensor(stored.mean))
    detector.std.copy_(torch.tensor(stored.std))
    detector.facts, detector.predict_params = stored.facts, stored.predict
    return detector.to(device).eval()


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredDetector:
    """The content of a model file."""

    params: ModelParams
    vocabulary: Vocabulary
    weights: dict[str, Tensor]
    mean: list[float]
    std: list[float]
    facts: dict[str, str]
    predict: PredictParams | None


def read_detector(path: Path) -> StoredDetector:
    """The content of a file that `save_detector` wrote, not yet as a network.

    Raises DeepmarkError where the file is missing, damaged, or not a DeepMark model.
    """
    metadata, weights = _read(path)
    if metadata.get("format") != _FORMAT:
        raise DeepmarkError(
            f"{path}: not a DeepMark model ({metadata.get('format', 'no format')!r} instead of {_FORMAT!r}). "
            "Give a file that `deepmark train` or `deepmark import-checkpoint` wrote."
        )
    try:
        params = ModelParams.model_validate_json(metadata["model"])
        facts, mean, std = (json.loads(metadata[key]) for key in ("facts", "mean", "std"))
        channels = json.loads(metadata.get("landmark_channels", "null"))
        predict = PredictParams.model_validate_json(metadata["predict"]) if "predict" in metadata else None
        vocabulary = restored_vocabulary(metadata.get("vocabulary"), path)
    except (KeyError, ValidationError, json.JSONDecodeError) as error:
        raise DeepmarkError(f"{path}: its description cannot be read ({error}). Train it again.") from None
    if channels not in (None, list(landmark_layout(vocabulary, params.landmark_maps).channel_of)):
        raise DeepmarkError(
            f"{path}: its maps show other landmarks than this version's with landmark_maps: {params.landmark_maps}. "
            "It was written by another version of DeepMark: train it again, or use that version."
        )
    return StoredDetector(
        params=params, vocabulary=vocabulary, weights=weights, mean=mean, std=std, facts=facts, predict=predict
    )


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if path.is_dir():
        raise DeepmarkError(f"{path}: a folder. Give a file, such as {path / 'model.safetensors'}.")
    try:
        check_digest(path, _REMEDY)
        with safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {}).get(_DESCRIPTION, "{}"))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return description if isinstance(description, dict) else {}, weights
    except FileNotFoundError:
        raise missing_model(path, "train") from None
    except (SafetensorError, OSError, ValueError) as error:
        with path.open("rb") as start:
            of_torch = start.read(4) in _TORCH_FILES
        remedy = "`deepmark import-checkpoint` converts CenterNet's." if of_torch else _REMEDY
        what = "a checkpoint of torch.save" if of_torch else f"damaged, or not a safetensors file ({error})"
        raise DeepmarkError(f"{path}: {what}. {remedy}") from None


def _check_shapes(path: Path, stored: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    unmatched = sorted(stored.keys() ^ wanted.keys())
    wrong = [name for name in wanted if name in stored and stored[name].shape != wanted[name].shape]
    if unmatched or wrong:
        name = (unmatched + wrong)[0]
        raise DeepmarkError(
            f"{path}: {len(unmatched) + len(wrong)} tensors do not fit this network, the first being '{name}'. "
            "It was written by another version of DeepMark: train it again, or use that version."
        )
