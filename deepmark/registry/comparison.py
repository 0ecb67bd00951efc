"""Champion and challenger compared on the same images, and every reason against a promotion."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.compare import Difference, compare
from deepmark.eval.metric.evaluate import PASSES
from deepmark.eval.metric.names import HEADLINE
from deepmark.progress import progress
from deepmark.registry.cached_evaluation import EvaluatedVersion, measure_costs
from deepmark.registry.history import tenures
from deepmark.registry.promotion_gate import GateResult, ModelCost, evaluate_gate
from deepmark.registry.versions import Registry, Version
from deepmark.workspace.layout import Workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Champion and challenger on the same validation images."""

    differences: tuple[Difference, ...]
    """By how much the challenger (b) is above the champion (a)."""

    champion: ModelCost
    challenger: ModelCost
    gate: GateResult


def compare_versions(
    registry: Registry, workspace: Workspace, champion: Version | None, challenger: Version, *, forced: bool
) -> tuple[Comparison | None, list[str]]:
    """The comparison, None where there is nothing to compare with, and every reason against a promotion.

    Raises DeepmarkError where the weights of either are not the registered ones, where the champion cannot predict, and
    where both are of different vocabularies. For a `forced` promotion, the latter two are reasons against it.
    """
    reasons = [
        f"version {challenger.number} was champion before, and was rolled back at {tenure.rolled_back}"
        for tenure in tenures(challenger)[-1:]
        if tenure.rolled_back
    ]
    with tempfile.TemporaryDirectory(prefix="deepmark-promote-") as folder:
        new = EvaluatedVersion(registry, workspace, challenger, Path(folder))
        new.check_weights()
        if champion is None:
            return None, reasons
        old = EvaluatedVersion(registry, workspace, champion, Path(folder))
        if obstacle := _obstacle(old, new):
            problem, remedy = obstacle
            if forced:
                return None, [*reasons, problem]
            raise DeepmarkError(f"{problem} {remedy} without a comparison: `deepmark promote --force REASON`.")
        comparison = _compare(workspace, old, new)
    return comparison, [*reasons, *map(str, comparison.gate.failed)]


def _obstacle(champion: EvaluatedVersion, challenger: EvaluatedVersion) -> tuple[str, str] | None:
    """What keeps both from being compared, and how to help, in words; None where nothing does."""
    number, wanted = champion.version.number, challenger.vocabulary
    try:
        champion.check_weights()
        difference = wanted.difference(champion.vocabulary)
        if difference is None:
            champion.read_predictions()
            return None
    except DeepmarkError as error:
        problem = f"version {number}, the champion, cannot be measured: {error}"
        return problem, "Bring its files back, `deepmark rollback` to a champion that has them, or promote"
    problem = (
        f"version {challenger.version.number} has the vocabulary {wanted.name}, but version {number}, the champion, "
        f"has {champion.vocabulary.name}: {difference}."
    )
    return problem, "Promote"


def _compare(workspace: Workspace, champion: EvaluatedVersion, challenger: EvaluatedVersion) -> Comparison:
    from deepmark.data.records import read_records

    params, records = workspace.params, read_records(workspace.records_file("validation"))
    resamples, seed = params.evaluate.resamples, params.evaluate.seed
    predictions = champion.read_predictions(), challenger.read_predictions()
    with progress("compare", PASSES) as advance:
        differences = compare(
            records, *predictions, vocabulary=records.vocabulary, resamples=resamples, seed=seed, progress=advance
        )
    overall = {one.metric: one for one in differences if one.scope == "all"}
    champion.store_evaluation({name: overall[name].a for name in HEADLINE})
    challenger.store_evaluation({name: overall[name].b for name in HEADLINE})
    old, new = measure_costs(workspace, [champion, challenger])
    gate = evaluate_gate(differences, champion=old, challenger=new, params=params.promote)
    return Comparison(differences=tuple(differences), champion=old, challenger=new, gate=gate)
