"""Which epoch's weights are kept: those that the validation set likes best.

The one place in training that looks ahead to detections and their metric.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch import distributed as dist

from deepmark.data.shards.reader import ShardReader
from deepmark.eval.metric.evaluate import evaluate
from deepmark.infer.predict import Predictor, predict_shards
from deepmark.params import PredictParams
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.step import Stepper
from deepmark.types import ImageRecord, Prediction

HIGHER_IS_BETTER: dict[str, bool] = {"landmark_ap": True, "box_ap": True, "loss": False}
"""The validation figures that an epoch can be chosen by (`train.best_by`), and which way is up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The weights of the best epoch so far."""

    epoch: int
    """From 0."""

    value: float | None
    """Of the figure it was chosen by; None where there is nothing to find."""

    weights: dict[str, Tensor]
    """On the CPU."""


def better(best: Best | None, epoch: int, figures: Mapping[str, float | None], stepper: Stepper) -> Best:
    """The better of the best so far and of this epoch with its figures; of equals the earlier."""
    by = stepper.params.best_by
    value = figures[by]
    if best is not None and not _beats(value, best.value, HIGHER_IS_BETTER[by]):
        return best
    weights = {name: tensor.detach().cpu().clone() for name, tensor in stepper.kept.state_dict().items()}
    return Best(epoch=epoch, value=value, weights=weights)


def _beats(value: float | None, other: float | None, higher_is_better: bool) -> bool:
    if value is None or other is None:
        return other is None and value is not None
    return value > other if higher_is_better else value < other


class _Share:
    """Every w-th sample of a reader, from the r-th on."""

    def __init__(self, reader: ShardReader, group: ProcessGroup) -> None:
        self._reader = reader
        self._positions = range(group.rank, len(reader), group.world_size)

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, position: int) -> tuple[ImageRecord, bytes]:
        return self._reader[self._positions[position]]


def _predict_params(precision: Literal["fp32", "bf16", "fp16"]) -> PredictParams:
    """Fixed, and not those of the stage `predict`: changing one of these must not mean another training."""
    return PredictParams(
        batch_size=16,
        precision=precision,
        max_detections=100,
        landmark_threshold=0.1,
        nms="hard",
        nms_iou=0.5,
        soft_nms_sigma=0.5,
        min_score=0.0,
        scales=(1.0,),
    )


def measure_ap(stepper: Stepper, reader: ShardReader) -> dict[str, float | None]:
    """Box AP and landmark AP (visible and occluded) of the weights that are kept, by the strategy "nms".

    All processes share the pictures; all get the answer of the first.
    """
    params = _predict_params(stepper.params.precision)
    group, detector = stepper.group, stepper.kept
    was_training = detector.training
    group.broadcast_buffers(detector)
    predictor = Predictor(detector, "nms", params, group.device)
    found = predict_shards(_Share(reader, group), predictor, batch_size=params.batch_size)
    mine = list(found)
    detector.train(was_training)
    return _evaluated(reader, _gathered(mine, group), group)


def _gathered(mine: list[Prediction], group: ProcessGroup) -> list[Prediction]:
    """What all processes found, at the first."""
    if group.world_size == 1:
        return mine
    everything: list[list[Prediction] | None] | None = [None] * group.world_size if group.is_first else None
    dist.gather_object(mine, everything)
    return [each for part in everything or [] for each in part or []]


def _evaluated(reader: ShardReader, predictions: list[Prediction], group: ProcessGroup) -> dict[str, float | None]:
    answer: list[dict[str, float | None]] = [{}]
    if group.is_first:
        records = [reader.record(position) for position in range(len(reader))]
        report = evaluate(records, predictions, by_subset=False)
        answer = [{name: report.value(name) for name in ("box_ap", "landmark_ap")}]
    if group.world_size > 1:
        dist.broadcast_object_list(answer)
    return answer[0]
