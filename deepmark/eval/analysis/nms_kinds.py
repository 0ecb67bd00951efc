"""The figures of the strategy nms by hard and by soft NMS, from the detections before it."""

from collections.abc import Sequence
from typing import Any, get_args

from deepmark.eval.metric.evaluate import evaluate
from deepmark.params import PredictParams
from deepmark.runtime.nms import select
from deepmark.types import ImageRecord, Prediction

KINDS: tuple[str, ...] = get_args(PredictParams.model_fields["nms"].annotation)


def by_nms_kind(
    records: Sequence[ImageRecord], predictions: Sequence[Prediction], predict: PredictParams
) -> dict[str, dict[str, Any]]:
    """For each kind of NMS what metrics/nms.json would hold, without milliseconds.

    `predictions` are those of the strategy none. For one scale NMS is all that it lacks, so nothing is predicted again.
    """
    return {kind: _figures(records, predictions, predict, kind) for kind in KINDS}


def _figures(
    records: Sequence[ImageRecord], predictions: Sequence[Prediction], predict: PredictParams, kind: str
) -> dict[str, Any]:
    kept = [
        one._replace(
            detections=select(
                one.detections,
                nms=kind,
                iou=predict.nms_iou,
                sigma=predict.soft_nms_sigma,
                min_score=predict.min_score,
                most=predict.max_detections,
            )
        )
        for one in predictions
    ]
    return evaluate(records, kept, by_subset=False).headline()
