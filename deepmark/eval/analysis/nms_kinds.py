"""The figures of the strategy nms by hard and by soft NMS, from the detections before it."""

from collections.abc import Callable, Iterable
from typing import Any, get_args

from deepmark.eval.metric.columns import Truth, detection_columns
from deepmark.eval.metric.evaluate import evaluate_columns
from deepmark.params import PredictParams
from deepmark.runtime.nms import select
from deepmark.types import Prediction

KINDS: tuple[str, ...] = get_args(PredictParams.model_fields["nms"].annotation)


def by_nms_kind(
    truth: Truth, read: Callable[[], Iterable[Prediction]], predict: PredictParams
) -> dict[str, dict[str, Any]]:
    """For each kind of NMS what metrics/nms.json would hold, without milliseconds.

    `read` gives the predictions of the strategy none, anew for each kind. For one scale NMS is all that they lack, so
    nothing is predicted again.
    """
    return {kind: _figures(truth, read(), predict, kind) for kind in KINDS}


def _figures(truth: Truth, predictions: Iterable[Prediction], predict: PredictParams, kind: str) -> dict[str, Any]:
    kept = (
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
    )
    return evaluate_columns(truth, detection_columns(kept, truth), by_subset=False).headline()
