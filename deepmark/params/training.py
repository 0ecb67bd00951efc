"""Sections of params.yaml about training: augmentation, loss, optimizer and checkpoints."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deepmark.eval.metric.names import EpochFigure
from deepmark.models.packaged import OPEN
from deepmark.params.section import Count, Positive, Section, Seed, Share

Weight = Annotated[float, Field(ge=0)]


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

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest angle, degrees, by which an image is turned around the middle of its crop, to either side; this and all
    that follow: 0 is off."""

    cutout: Share = 0.0
    """Probability that a patch of one colour hides a landmark of a garment and what is around it."""

    white_balance: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Range of the gains of red and of blue, each by itself: 0.2 is 0.8 to 1.2."""

    blur: Annotated[float, Field(ge=0)] = 0.0
    """Largest standard deviation of a Gaussian blur, pixels of the network's input."""

    noise: Annotated[float, Field(ge=0, le=255)] = 0.0
    """Largest standard deviation of Gaussian noise, grey levels of 0..255."""

    jpeg: Annotated[int, Field(ge=0, le=99)] = 0
    """Largest loss of quality by JPEG compression: 70 is qualities of 30 to 100."""


class LossWeights(Section):
    center_heatmap: float
    """Of the focal loss of centres, 13 maps."""

    size: float
    """Of the L1 loss of width and height, in cells."""

    center_offset: float
    """Of the L1 loss of a centre's place inside its cell."""

    landmark_heatmap: float
    """Of the focal loss of landmarks."""

    landmark_vectors: float
    """Of the L1 loss of the vectors from the middle of a box to its landmarks, in cells."""

    landmark_offset: float
    """Of the L1 loss of a landmark's place inside its cell."""

    box_giou: Weight = 0.0
    """Of 1 - GIoU of boxes, beside the L1 distance of their sizes and offsets; this and the following: 0 is off."""

    box_diou: Weight = 0.0
    """Of 1 - DIoU of boxes."""

    landmark_vectors_oks: Weight = 0.0
    """Of 1 - OKS of the landmarks that vectors give."""

    landmark_offset_oks: Weight = 0.0
    """Of 1 - OKS of the landmarks that heatmaps and offsets give, whose error is below a cell."""

    teacher: Weight = 0.0
    """Of the distance from the maps of `train.teacher`, in which the six heads have the weights above."""


class TrainParams(Section):
    seed: Seed
    """Of start values, the order of samples, and augmentation."""

    init: str | None
    """Weights to start from: what `deepmark import-checkpoint` or an earlier training wrote; open for the model that
    comes with DeepMark, null for none."""

    teacher: str | None = None
    """Model file of a larger network, whose maps are learnt from, too, with `loss_weights.teacher`
    (train.distillation); null for none."""

    epochs: Count
    """How often every training image is seen."""

    batch_size: Count
    """Images per step, over all processes together."""

    device_batch: Count | None
    """Most images that a process computes at once; gradients of a larger share are accumulated over several passes."""

    sync_batch_norm: bool = False
    """Whether batch normalisation takes its statistics over the images of all processes, or each process over its own.

    With few images a process its own statistics are noisy. Source: MegDet, 2017, section 3.2.
    """

    optimizer: Literal["adam", "adamw", "muon"]
    """Adam adds weight decay to the gradient, AdamW subtracts it from the weights; Muon is AdamW with orthogonal
    changes of the matrices of hidden layers (train.muon)."""

    learning_rate: Positive
    """The largest, of a step over the whole batch."""

    schedule: Literal["steps", "cosine"]
    """How the learning rate falls: at the milestones, or along a cosine to 0."""

    milestones: dict[int, Positive]
    """For the schedule "steps": the learning rate after so many epochs."""

    repeat_threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    """Images that show a category of fewer than this share of the images are seen more often, sqrt(threshold / share)
    times as often as others (LVIS, 2019; `data.sampling.repeat_factors`); null: all images alike."""

    warmup: Share
    """Share of all steps over which the learning rate rises from 0."""

    weight_decay: Annotated[float, Field(ge=0)]
    """Of weights, a step; biases and normalisation have none."""

    clip_norm: Positive | None
    """Largest norm of the gradient; null does not clip."""

    ema: Annotated[float, Field(gt=0, lt=1)] | None
    """Decay per step of the exponential moving average of the weights, which is evaluated and exported; null: none."""

    not_finite: Literal["stop", "skip"]
    """Whether a batch whose loss is not finite stops the run, or is skipped."""

    precision: Literal["fp32", "bf16", "fp16", "auto"]
    """The number format of convolutions; weights, losses and sums are float32 always. auto: bf16 where the device
    computes in it (GPUs of compute capability 8.0, processors with AVX-512 BF16 or AMX), else fp32 on a processor, and
    fp16 with a scaled loss on a GPU, whose steps that overflow are left out. A processor computes fp16 as bf16."""

    channels_last: bool
    """Memory format of the maps: NHWC if true, NCHW otherwise."""

    compile: bool
    """Whether the backbone is compiled by torch.compile; needs a C++ compiler, and takes minutes at the start."""

    landmark_channels: Literal["all", "own"]
    """Channels that the landmark heatmap loss covers: all, or only those of the categories in the image."""

    landmark_radius: Literal["box", "sigma"]
    """The radius of a landmark's Gaussian follows the garment's box, or the landmark's OKS sigma."""

    loss_weights: LossWeights
    """The weight of each part in the total loss."""

    validate_every: Annotated[int, Field(ge=0)] = 1
    """Epochs between measurements of the loss on the validation set, and after the last; 0: never. Where `best_by` is
    loss, it is measured with every evaluation, too. No weight depends on it."""

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

    @property
    def init_in_workspace(self) -> str | None:
        """The file of the workspace that a training starts from; None for the weights that come with DeepMark, too."""
        return None if self.init == OPEN else self.init

    @model_validator(mode="after")
    def _teacher_has_a_weight(self) -> "TrainParams":
        if (self.teacher is None) != (self.loss_weights.teacher == 0):
            raise ValueError("a teacher needs loss_weights: teacher above 0, such as 1.0, and that weight a teacher")
        return self
