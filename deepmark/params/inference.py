"""Sections of params.yaml about inference and what is made of its results: metric, export, audit and report."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from deepmark.params.section import Count, Positive, Section, Seed, Share


class PredictParams(Section):
    batch_size: Count
    """Images that the network sees at once."""

    precision: Literal["fp32", "bf16", "fp16"]
    """The number format of convolutions."""

    max_detections: Count
    """Detections kept per image, over all categories."""

    landmark_threshold: Share
    """A landmark stays at its regressed place where the heatmap has no peak of at least this score."""

    nms: Literal["hard", "soft"]
    """Whether NMS removes overlapping detections, or lowers their scores."""

    nms_iou: Share
    """Hard NMS removes boxes whose IoU with a better one of their category is above this."""

    soft_nms_sigma: Positive
    """Soft NMS multiplies scores by exp(-IoU^2 / sigma) instead."""

    min_score: Share
    """Detections below it are dropped; 0 keeps all `max_detections`, as the metric wants."""

    scales: tuple[Positive, ...]
    """The scales of the strategy "multiscale"."""

    landmark_blend: Share = 0.0
    """Share of the way that a landmark goes back from the peak that placed it to where its garment's vector put it."""

    rescore: bool = False
    """Whether a garment's landmarks have a score of their own in the landmark metric: see `runtime.pose_scores`."""


class EvaluateParams(Section):
    resamples: Annotated[int, Field(ge=0)]
    """Bootstrap resamples of the images for each 95% interval; 0 computes no intervals."""

    seed: Seed
    """Seed of the resamples."""

    nms_kinds: bool = False
    """Whether the evaluation of the strategy none also measures what hard and what soft NMS make of its detections;
    the report shows both. It takes as long as two more evaluations without intervals."""


class ExportParams(Section):
    formats: tuple[Literal["float32", "float16", "int8"], ...]
    """The ONNX files to make; float32, of which the others are made, always is."""

    flip: bool
    """Whether to make of each a second file for the strategy flip, such as model_flip.onnx: better, half as fast."""

    peaks: Count
    """The strongest peaks of a landmark's heatmap, of which one may place the landmark; `infer.decode` takes 100."""

    calibration_images: Count
    """Training images whose least and greatest values are the ranges of int8."""

    equality_images: Count
    """Validation images on which torch and each file are compared, garment by garment."""

    max_ap_drop: Share
    """A file that loses more box AP or landmark AP than this on the validation images is refused."""


class AuditParams(Section):
    folds: Annotated[int, Field(ge=0, le=100)] = 0
    """Parts of the training images, each predicted by a network that was trained on the others (`deepmark
    crossvalidate`), so that the audit can compare training labels with a model, too; 0: none, and no such training."""

    fold_epochs: Count | None = None
    """Epochs of each of these trainings; null: as many as `train.epochs`."""

    faulty_share: Annotated[float, Field(gt=0, lt=1)]
    """Prior share of wrong labels; it decides from which evidence on a score is above 0.5."""

    min_score: Share
    """Issues with lower scores are not listed."""

    hash_bits: Annotated[int, Field(ge=0, le=16)]
    """Images are compared closely if their 64-bit perceptual hashes differ in at most this many bits."""

    pictures: Annotated[int, Field(ge=0)]
    """Number of issues that the page shows with images."""

    @field_validator("folds")
    @classmethod
    def _others_to_learn_from(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("one fold leaves no images to learn from: give 2 or more, or 0 for none")
        return folds


class ReportParams(Section):
    pictures: Annotated[int, Field(ge=0, le=60)]
    """Validation images drawn with their detections; with 60 the page stays below 10 MB."""

    min_score: Share
    """Detections below it are not drawn."""
