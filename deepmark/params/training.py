"""Sections of params.yaml about training: augmentation, loss, optimizer, checkpoints, processes and machines."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deepmark.eval.metric.names import EpochFigure
from deepmark.params.section import Count, Positive, Section, Share


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

    best_by: EpochFigure
    """The validation figure that decides which epoch's weights are kept."""

    checkpoint_minutes: Annotated[float, Field(ge=0)]
    """Time between checkpoints inside an epoch; one is written after every epoch in any case."""

    checkpoint_steps: Count | None
    """Steps between checkpoints, whichever comes first; null goes by time alone."""

    checkpoints_kept: Annotated[int, Field(ge=2)]
    """How many of the last checkpoints are kept: two at least, for the last may be damaged."""

    launch: LaunchParams
