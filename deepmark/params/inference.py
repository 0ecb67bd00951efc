"""Sections of params.yaml about inference and what is made of its results: metric, audit and report."""

from typing import Annotated, Literal

from pydantic import Field

from deepmark.params.section import Count, Positive, Section, Share


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
