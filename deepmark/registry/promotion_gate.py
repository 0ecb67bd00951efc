"""The gate of a promotion: the rules that a challenger must meet to take the champion's place."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.bootstrap import Interval
from deepmark.eval.metric.compare import Difference
from deepmark.eval.metric.names import METRICS
from deepmark.params import PromoteParams


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One condition, with the figures of champion and challenger; `deepmark promote --json` prints these fields."""

    name: str
    """Such as "landmark AP", "landmark AP of vest", "latency, ms" or "size, MB"."""

    champion: float
    challenger: float
    """AP in 0..1, milliseconds an image, or megabytes."""

    condition: str
    """What is required: "low > -0.005", where low and high are the ends of the interval."""

    holds: bool
    interval: Interval | None = None
    """95% interval of challenger - champion, for an AP."""

    def __str__(self) -> str:
        places = 4 if "AP" in self.name else 2
        numbers = f"champion {self.champion:.{places}f}, challenger {self.challenger:.{places}f}"
        if self.interval is not None:
            numbers += f", difference {self.challenger - self.champion:+.4f}"
            numbers += f" (low {self.interval.low:+.4f}, high {self.interval.high:+.4f})"
        return f"{self.name}: {numbers}; needed: {self.condition}"


@dataclass(frozen=True, kw_only=True, slots=True)
class GateResult:
    """The gate's rules, each with whether it holds."""

    rules: tuple[Rule, ...]

    @property
    def failed(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if not rule.holds)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCost:
    """The time and the space that a model takes."""

    milliseconds: float
    """A forward pass of its network over one image; champion and challenger are timed on the same machine."""

    megabytes: float
    """Its weights' file, millions of bytes."""


def evaluate_gate(
    differences: Iterable[Difference], *, champion: ModelCost, challenger: ModelCost, params: PromoteParams
) -> GateResult:
    """Every rule of the gate, for the `differences` of champion (a) and challenger (b) on the same images.

    A category or subset without labelled items has no rule. Raises DeepmarkError where the primary metric has no
    interval: without resamples, or without labelled items.
    """
    of_metric = [one for one in differences if one.metric == params.primary_metric]
    name = METRICS[params.primary_metric].short_words
    rules = [
        _primary_rule(name, next(one for one in of_metric if one.scope == "all"), params.tolerance),
        *_part_rules(name, of_metric, params.max_category_drop),
        _ratio_rule("latency", champion.milliseconds, challenger.milliseconds, params.max_latency_ratio, "ms"),
        _ratio_rule("size", champion.megabytes, challenger.megabytes, params.max_size_ratio, "MB"),
    ]
    return GateResult(rules=tuple(rules))


def _primary_rule(name: str, one: Difference, tolerance: float) -> Rule:
    if one.a is None or one.b is None or one.interval is None:
        raise DeepmarkError(
            f"{name} has no interval, and without one a difference may be chance. Set evaluate.resamples in "
            "params.yaml to 1000; if it is, no validation image has labelled garments: check data/raw/validation."
        )
    return Rule(
        name=name,
        champion=one.a,
        challenger=one.b,
        condition=f"low > {-tolerance:g}",
        holds=one.interval.low > -tolerance,
        interval=one.interval,
    )


def _part_rules(name: str, differences: Iterable[Difference], max_drop: float) -> Iterator[Rule]:
    for one in differences:
        if one.scope == "all" or one.a is None or one.b is None:
            continue
        yield Rule(
            name=f"{name} of {one.scope.removeprefix('category:').replace(':', ' ')}",
            champion=one.a,
            challenger=one.b,
            condition=f"difference >= {-max_drop:g}",
            holds=one.a - one.b <= max_drop,
            interval=one.interval,
        )


def _ratio_rule(name: str, champion: float, challenger: float, max_ratio: float, unit: str) -> Rule:
    return Rule(
        name=f"{name}, {unit}",
        champion=champion,
        challenger=challenger,
        condition=f"at most {max_ratio:g} x",
        holds=challenger <= max_ratio * champion,
    )
