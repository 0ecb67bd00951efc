"""params.yaml: every number that changes a result, read by one function, at the doors, at run time.

A section per stage. A function of the library gets the values it uses, or one section, never the whole.
One long file: what a value means, and which it may have, is found in the place where it is named, section by section.
"""

from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from deepmark.errors import DeepmarkError, nearest

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Days = Annotated[float, Field(ge=0.001, le=10_000)]
"""Dagster takes no less than a minute for an age, and Python no more than some million days."""


class Section(BaseModel):
    """A part of params.yaml: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataParams(Section):
    raw: str
    """Folder of DeepFashion2 as unzipped, relative to the workspace: train/image, train/annos, validation/…"""


class IngestParams(Section):
    max_rejected_share: Share
    """More rejected pictures than this share of all files stops the stage."""

    max_megapixels: Positive
    """Larger pictures are refused by their header, before decoding."""


class ShardParams(Section):
    seed: int
    """Of the shuffle that decides which sample lies in which shard."""

    target_mib: Positive
    """A shard is closed when it has reached this size."""


class StorageParams(Section):
    """Where shards are read from; what is made of them does not depend on it."""

    shards: str = "data/shards"
    """Folder of train/ and validation/, relative to the workspace, or its fsspec URL, such as s3://bucket/shards."""

    cache: str = "runs/shards"
    """Folder, relative to the workspace, that keeps shards fetched from a URL; workspaces may share one."""

    cache_gib: Positive = 64
    """The most that the cache holds."""

    timeout_seconds: Positive = 60
    """How long S3 may be silent before it is asked again."""


class ModelParams(Section):
    backbone: Literal["dla34", "hourglass104", "mobile"]
    input_size: tuple[Count, Count]
    """Height and width of the network's input, pixels; multiples of 32 (of 128 for the hourglass)."""

    deformable: bool = True
    """Whether the up path of dla34 has deformable convolutions, or plain 3x3 ones."""

    landmark_maps: Literal["separate", "grouped"] = "separate"
    """A map for each of the 294 landmarks, or one for all that mean the same in different categories."""

    @property
    def size_divisor(self) -> int:
        """What the sides of the network's input are multiples of, pixels: its largest stride."""
        return 128 if self.backbone == "hourglass104" else 32

    @model_validator(mode="after")
    def _whole_cells(self) -> "ModelParams":
        if any(side % self.size_divisor for side in self.input_size):
            sizes = f"input_size {list(self.input_size)} must be multiples of {self.size_divisor}"
            raise ValueError(f"{sizes} for backbone {self.backbone}")
        return self


def model_params(*, backbone: str, input_size: tuple[int, int], **others: Any) -> ModelParams:
    """A network that was asked for outside params.yaml.

    Raises DeepmarkError for values that params.yaml may not have either.
    """
    try:
        return ModelParams.model_validate({"backbone": backbone, "input_size": input_size, **others})
    except ValidationError as error:
        raise DeepmarkError("; ".join(item["msg"] for item in error.errors()) + ".") from None


class AugmentParams(Section):
    scale: tuple[Positive, Positive]
    """Range of the random crop, as a share of the picture's long side; [1, 1] switches it off."""

    shift: Share
    """How far the crop's centre strays: 1 is CenterNet's range, 0 keeps it in the middle."""

    mirror: Share
    """How often a picture is mirrored, landmark pairs swapped."""

    color: Share
    """Strength of brightness, contrast and saturation jitter."""

    lighting: Annotated[float, Field(ge=0)]
    """Standard deviation of the PCA lighting noise."""


class LossWeights(Section):
    center_heatmap: float
    size: float
    center_offset: float
    landmark_heatmap: float
    landmark_vectors: float
    landmark_offset: float


class LaunchParams(Section):
    nnodes: Count
    """Machines that train together."""

    nproc_per_node: Count | Literal["auto"]
    """Processes on each, one a GPU; "auto" takes every GPU, or one process where there is none."""

    rendezvous: Annotated[str, Field(pattern=r"^\S+:\d{1,5}$")] | None
    """host:port of the machine where all meet, the same for all; null where there is one machine."""

    timeout_seconds: Positive
    """How long the machines wait for each other before one counts as lost."""

    @model_validator(mode="after")
    def _have_a_place_to_meet(self) -> "LaunchParams":
        if self.nnodes > 1 and self.rendezvous is None:
            raise ValueError(f"{self.nnodes} machines need a rendezvous: host:port of one of them, the same for all")
        return self


class TrainParams(Section):
    seed: int
    init: str | None
    """Weights to start from: what `deepmark import-checkpoint` or an earlier training wrote; null for none."""

    epochs: Count
    batch_size: Count
    """Pictures a step, over all processes together."""

    device_batch: Count | None
    """The most pictures that a process holds at once: larger shares are worked off in parts, gradients added up."""

    optimizer: Literal["adam", "adamw"]
    learning_rate: Positive
    schedule: Literal["steps", "cosine"]
    milestones: dict[int, Positive]
    """For the schedule "steps": from this epoch on (counted from 0), this learning rate."""

    warmup: Share
    """Share of all steps over which the learning rate rises from 0."""

    weight_decay: Annotated[float, Field(ge=0)]
    clip_norm: Positive | None
    """Largest norm of the gradient; null does not clip."""

    ema: Annotated[float, Field(gt=0, lt=1)] | None
    """Decay a step of the weights' moving average, which is then measured and kept; null keeps the weights."""

    not_finite: Literal["stop", "skip"]
    """What happens at a batch whose loss is not a number: the run stops, or the step is left out."""

    precision: Literal["fp32", "bf16", "fp16"]
    channels_last: bool
    """Whether maps lie in memory channel by channel (false) or cell by cell (true)."""

    compile: bool
    """Whether torch.compile fuses the backbone; needs a C++ compiler, and minutes at the start."""

    landmark_channels: Literal["all", "own"]
    """Heatmap loss on all landmark channels, or on those of the picture's own categories only."""

    landmark_radius: Literal["box", "sigma"]
    """How far around a landmark its heatmap is raised: by the garment's box, or by how precisely people place it."""

    loss_weights: LossWeights
    evaluate_every: Annotated[int, Field(ge=0)]
    """Epochs between measurements of AP on the validation set; 0 never measures, and the last weights are kept."""

    best_by: Literal["landmark_ap", "box_ap", "loss"]
    """The validation figure that decides which epoch's weights are kept."""

    checkpoint_minutes: Annotated[float, Field(ge=0)]
    """Time between checkpoints inside an epoch; one is written after every epoch in any case."""

    checkpoint_steps: Count | None
    """Steps between checkpoints, whichever comes first; null goes by time alone."""

    checkpoints_kept: Annotated[int, Field(ge=2)]
    """How many of the last checkpoints are kept: two at least, for the last may be damaged."""

    launch: LaunchParams


class PredictParams(Section):
    batch_size: Count
    precision: Literal["fp32", "bf16", "fp16"]
    max_detections: Count
    """Centres kept a picture, over all categories."""

    landmark_threshold: Share
    """Heatmap peaks below it do not move a coarse landmark."""

    nms: Literal["hard", "soft"]
    nms_iou: Share
    """Hard NMS removes boxes that overlap a better one of their category by more than this."""

    soft_nms_sigma: Positive
    """Soft NMS lowers scores by exp(-overlap^2 / sigma) instead."""

    min_score: Share
    """Detections below it are dropped; 0 keeps all `max_detections`, as the metric wants."""

    scales: tuple[Positive, ...]
    """The scales of the strategy "multiscale"."""


class EvaluateParams(Section):
    resamples: Annotated[int, Field(ge=0)]
    """Bootstrap resamples of the pictures behind each 95% interval; 0 leaves the intervals out."""

    seed: int
    """Of the resamples."""


class AuditParams(Section):
    faulty_share: Annotated[float, Field(gt=0, lt=1)]
    """Share of the labels taken to be wrong before any is looked at: it decides where scores pass 0.5."""

    min_score: Share
    """Weaker suspicions are not listed."""

    hash_bits: Annotated[int, Field(ge=0, le=16)]
    """Bits of 64 by which the fingerprints of two pictures may differ that are compared more closely."""

    pictures: Annotated[int, Field(ge=0)]
    """Entries of the list that the page shows, with pictures."""


class ReportParams(Section):
    pictures: Annotated[int, Field(ge=0, le=60)]
    """Validation pictures drawn with their detections; the page stays below 10 MB with 60."""

    min_score: Share
    """Detections below it are not drawn."""


class AutomationParams(Section):
    schedule: Annotated[str, Field(pattern=r"^\S+( \S+){4}$")]
    """When all is made again, once the schedule is switched on: minute, hour, day, month, weekday, as in cron."""

    timezone: str
    """Of the schedule: "Europe/Berlin"."""

    look_every_minutes: Positive
    """Between two looks at the raw files."""

    settled_minutes: Annotated[float, Field(ge=0)]
    """Changed raw files are retrained on once they have been left alone for this long."""

    report_days: Days
    """An older report is shown as out of date."""

    champion_days: Days
    """So is a champion that no retraining has replaced or confirmed for this long."""

    @field_validator("timezone")
    @classmethod
    def _is_a_place(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not a time zone; they are called Europe/Berlin, America/New_York, UTC") from None
        return name


class PromoteParams(Section):
    strategy: Literal["none", "nms", "flip", "multiscale"]
    """Whose figures decide, and which is served."""

    primary_metric: Literal["box_ap", "landmark_visible_ap", "landmark_ap"]
    tolerance: Share
    """The primary metric's 95% interval, challenger - champion, must lie above minus this."""

    max_category_drop: Share
    """The most that the primary metric of a category, or of a subset, may lose."""

    max_latency_ratio: Positive
    """The most that a pass of the challenger's network may take, in passes of the champion's."""

    max_size_ratio: Positive
    """The most bytes that the challenger may have, in those of the champion."""


class Params(Section):
    data: DataParams
    ingest: IngestParams
    shard: ShardParams
    storage: StorageParams = StorageParams()
    model: ModelParams
    augment: AugmentParams
    train: TrainParams
    predict: PredictParams
    evaluate: EvaluateParams
    audit: AuditParams
    report: ReportParams
    automation: AutomationParams
    promote: PromoteParams


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    section: Any = Params
    for part in location:
        section = section.model_fields[part].annotation
    return list(section.model_fields)


def _explain(error: dict[str, Any]) -> str:
    *parents, key = error["loc"] or ("file",)
    where = "".join(f"{part}: " for part in parents)
    if error["type"] == "extra_forbidden":
        return f"{where}'{key}' is not a parameter. {nearest(str(key), _known_keys(tuple(parents)))}"
    if error["type"] == "missing":
        return f"{where}'{key}' is missing. Copy it from a fresh `deepmark init DIR`."
    return f"{where}{key}: {error['msg']} (found: {error['input']!r})."


def load_params(path: Path) -> Params:
    """The checked contents of a params.yaml.

    Raises DeepmarkError, naming file, section and key, for a file that is missing, is not YAML, or holds a key or a
    value that is not known.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        values = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise DeepmarkError(
            f"{path}: no such file. A workspace has one: `deepmark init DIR` makes it, `--workspace DIR` names it."
        ) from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise DeepmarkError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    return check_params(values, str(path))


def check_params(values: Any, where: str) -> Params:
    """What a params.yaml holds, checked; `where` begins every line of the DeepmarkError that tells what is wrong."""
    if not isinstance(values, dict):
        raise DeepmarkError(f"{where}: expected sections ({', '.join(Params.model_fields)}), found {values!r}.")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        lines = [f"{where}: {_explain(dict(item))}" for item in error.errors()]
        raise DeepmarkError("\n".join(lines)) from None
