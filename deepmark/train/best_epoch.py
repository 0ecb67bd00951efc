"""The choice of the epoch whose weights are kept: the one with the best figure on the validation set.

The only module of training that decodes detections and computes their metric.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from deepmark.data.shards.reader import ShardReader
from deepmark.eval.metric.evaluate import evaluate
from deepmark.eval.metric.names import HIGHER_IS_BETTER, MAIN
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, Predictor, predict_shards
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.step import Stepper
from deepmark.types import ImageRecord, Prediction

PREDICT_PARAMS = PROFILE_PREDICT_PARAMS.model_copy(update={"batch_size": 16})
"""How epochs are measured, in the precision of the training. These are not the numbers of the stage `predict` in
params.yaml, so that changing one of those does not mean another training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BestEpoch:
    """The weights of the best epoch so far."""

    epoch: int
    """From 0."""

    value: float | None
    """Of the figure it was chosen by; None where the validation set has nothing to detect."""

    weights: dict[str, Tensor]
    """On the CPU."""


def update_best(best: BestEpoch | None, epoch: int, figures: Mapping[str, float | None], stepper: Stepper) -> BestEpoch:
    """The better of the best epoch so far and this one, by its figures; the earlier one if they are equal."""
    by = stepper.params.best_by
    value = figures[by]
    if best is not None and not _beats(value, best.value, HIGHER_IS_BETTER[by]):
        return best
    weights = {name: tensor.detach().cpu().clone() for name, tensor in stepper.kept.state_dict().items()}
    return BestEpoch(epoch=epoch, value=value, weights=weights)


def _beats(value: float | None, other: float | None, higher_is_better: bool) -> bool:
    if value is None or other is None:
        return other is None and value is not None
    return value > other if higher_is_better else value < other


class _ReaderShare:
    """This process's share of a reader: of w processes, rank r has every w-th sample from the r-th on."""

    def __init__(self, reader: ShardReader, group: ProcessGroup) -> None:
        self._reader = reader
        self._positions = range(group.rank, len(reader), group.world_size)

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, position: int) -> tuple[ImageRecord, bytes]:
        return self._reader[self._positions[position]]


def measure_ap(stepper: Stepper, reader: ShardReader) -> dict[str, float | None]:
    """Box AP and landmark AP (visible and occluded) of the kept weights, by the inference strategy "nms".

    The processes share the images; all get the result of the first.
    """
    params = PREDICT_PARAMS.model_copy(update={"precision": stepper.params.precision})
    group, detector = stepper.group, stepper.kept
    was_training = detector.training
    group.broadcast_buffers(detector)
    predictor = Predictor(detector, "nms", params, group.device)
    predictions = predict_shards(_ReaderShare(reader, group), predictor, batch_size=params.batch_size)
    mine = list(predictions)
    detector.train(was_training)
    everything = group.gathered(mine)
    return group.from_first(_evaluated(reader, everything) if group.is_first else {})


def _evaluated(reader: ShardReader, predictions: list[Prediction]) -> dict[str, float | None]:
    records = [reader.record(position) for position in range(len(reader))]
    report = evaluate(records, predictions, vocabulary=reader.vocabulary, by_subset=False)
    return {name: report.value(name) for name in MAIN}
