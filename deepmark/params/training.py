"""Sections of params.yaml about training: augmentation, loss, optimizer, checkpoints, processes and machines."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deepmark.eval.metric.names import EpochFigure
from deepmark.params.section import Count, Positive, Section, Seed, Share


class AugmentParams(Section):
    scale: tuple[Positive, Positive]
    """Range of the random crop, as a share of the image's longer side; [1, 1] switches it off."""

    shift: Share
    """Range of the crop's random shift: 1 is CenterNet's, 0 keeps the crop in the middle."""

    mirror: Share
    """Probability that an image is mirrored, with left and right landmarks swapped."""

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
    """Number of machines."""

    nproc_per_node: Count | Literal["auto"]
    """Processes per machine, one per GPU; "auto" uses every GPU, or one process where there is none."""

    rendezvous: Annotated[str, Field(pattern=r"^\S+:\d{1,5}$")] | None
    """host:port of one of the machines, the same on all; null with a single machine."""

    timeout_seconds: Positive
    """How long the machines wait for each other before one of them counts as lost."""

    @model_validator(mode="after")
    def _have_a_place_to_meet(self) -> "LaunchParams":
        if self.nnodes > 1 and self.rendezvous is None:
            raise ValueError(f"{self.nnodes} machines need a rendezvous: host:port of one of them, the same for all")
        return self


class TrainParams(Section):
    seed: Seed
    init: str | None
    """Weights to start from: what `deepmark import-checkpoint` or an earlier training wrote; null for none."""

    epochs: Count
    batch_size: Count
    """Images per step, over all processes together."""

    device_batch: Count | None
    """Most images that a process computes at once; gradients of a larger share are accumulated over several passes."""

    optimizer: Literal["adam", "adamw"]
    learning_rate: Positive
    schedule: Literal["steps", "cosine"]
    milestones: dict[int, Positive]
    """For the schedule "steps": the learning rate after so many epochs."""

    warmup: Share
    """Share of all steps over which the learning rate rises from 0."""

    weight_decay: Annotated[float, Field(ge=0)]
    clip_norm: Positive | None
    """Largest norm of the gradient; null does not clip."""

    ema: Annotated[float, Field(gt=0, lt=1)] | None
    """Decay per step of the exponential moving average of the weights, which is evaluated and exported; null: none."""

    not_finite: Literal["stop", "skip"]
    """Whether a batch whose loss is not finite stops the run, or is skipped."""

    precision: Literal["fp32", "bf16", "fp16"]
    channels_last: bool
    """Memory format of the maps: NHWC if true, NCHW otherwise."""

    compile: bool
    """Whether the backbone is compiled by torch.compile; needs a C++ compiler, and takes minutes at the start."""

    landmark_channels: Literal["all", "own"]
    """Channels that the landmark heatmap loss covers: all, or only those of the categories in the image."""

    landmark_radius: Literal["box", "sigma"]
    """The radius of a landmark's Gaussian follows the garment's box, or the landmark's OKS sigma."""

    loss_weights: LossWeights
    evaluate_every: Annotated[int, Field(ge=0)]
    """Epochs between evaluations on the validation set; with 0 there are none, and the last weights are kept."""

    best_by: EpochFigure
    """The validation figure that decides which epoch's weights are kept."""

    checkpoint_minutes: Annotated[float, Field(ge=0)]
    """Time between checkpoints inside an epoch; one is always written after an epoch."""

    checkpoint_steps: Count | None
    """Steps between checkpoints, if they pass before that time; null means by time alone."""

    checkpoints_kept: Annotated[int, Field(ge=2)]
    """Number of checkpoints that are kept: two or more, since the last may be damaged."""

    launch: LaunchParams
