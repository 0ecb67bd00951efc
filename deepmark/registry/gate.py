"""The gate: whether a challenger may take the champion's place."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.bootstrap import Interval
from deepmark.eval.metric.compare import Difference
from deepmark.params import PromoteParams
from deepmark.report.tables.comparison_tables import KIND_WORDS


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One condition, with what was measured of both."""

    name: str
    """"landmark AP", "landmark AP of vest", "latency", "size"."""

    champion: float
    challenger: float
    """APs 0..1, milliseconds a picture, or megabytes."""

    condition: str
    """What must hold: "low > -0.005", where low and high are the ends of the interval."""

    holds: bool
    interval: Interval | None = None
    """Of challenger - champion, 95%, where it is an AP."""

    def __str__(self) -> str:
        places = 4 if "AP" in self.name else 2
        numbers = f"champion {self.champion:.{places}f}, challenger {self.challenger:.{places}f}"
        if self.interval is not None:
            numbers += f", difference {self.challenger - self.champion:+.4f}"
            numbers += f" (low {self.interval.low:+.4f}, high {self.interval.high:+.4f})"
        return f"{self.name}: {numbers}; needed: {self.condition}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the gate says."""

    rules: tuple[Rule, ...]

    @property
    def passed(self) -> bool:
        return not self.failed

    @property
    def failed(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if not rule.holds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a model takes."""

    milliseconds: float
    """A pass of its network over one picture; of both models on one machine."""

    megabytes: float
    """Its file, millions of bytes."""


def judge(differences: Iterable[Difference], *, champion: Cost, challenger: Cost, params: PromoteParams) -> Verdict:
    """Every rule of the gate, for `differences` of champion (a) and challenger (b) on the same pictures.

    A category or subset without labelled items is no rule. Raises DeepmarkError where the primary metric has no
    interval: without resamples, or without labelled items.
    """
    of_metric = [one for one in differences if one.metric == params.primary_metric]
    kind, _, figure = params.primary_metric.rpartition("_")
    name = f"{KIND_WORDS[kind]} {figure.upper()}"
    rules = [
        _primary(name, next(one for one in of_metric if one.scope == "all"), params.tolerance),
        *_parts(name, of_metric, params.max_category_drop),
        _ratio("latency", champion.milliseconds, challenger.milliseconds, params.max_latency_ratio, "ms"),
        _ratio("size", champion.megabytes, challenger.megabytes, params.max_size_ratio, "MB"),
    ]
    return Verdict(rules=tuple(rules))


def _primary(name: str, one: Difference, tolerance: float) -> Rule:
    if one.a is None or one.b is None or one.interval is None:
        raise DeepmarkError(
            f"{name} has no interval, and without one a difference may be chance. Set evaluate.resamples in "
            "params.yaml to 1000; if it is, no validation picture has labelled garments: check data/raw/validation."
        )
    return Rule(
        name=name,
        champion=one.a,
        challenger=one.b,
        condition=f"low > {-tolerance:g}",
        holds=one.interval.low > -tolerance,
        interval=one.interval,
    )


def _parts(name: str, differences: Iterable[Difference], most: float) -> Iterator[Rule]:
    for one in differences:
        if one.scope == "all" or one.a is None or one.b is None:
            continue
        yield Rule(
            name=f"{name} of {one.scope.removeprefix('category:').replace(':', ' ')}",
            champion=one.a,
            challenger=one.b,
            condition=f"difference >= {-most:g}",
            holds=one.a - one.b <= most,
            interval=one.interval,
        )


def _ratio(name: str, champion: float, challenger: float, most: float, unit: str) -> Rule:
    return Rule(
        name=f"{name}, {unit}",
        champion=champion,
        challenger=challenger,
        condition=f"at most {most:g} x",
        holds=challenger <= most * champion,
    )
