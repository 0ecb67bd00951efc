"""Champion and challenger on the same pictures, and what speaks against a change."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.compare import Difference, compare
from deepmark.eval.metric.evaluate import PASSES
from deepmark.progress import progress
from deepmark.registry.cached_evaluation import FIGURES, Contender, costs
from deepmark.registry.gate import Cost, Verdict, judge
from deepmark.registry.history import tenures
from deepmark.registry.versions import Registry, Version
from deepmark.workspace.layout import Workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Champion and challenger on the same pictures."""

    differences: tuple[Difference, ...]
    """How much the challenger (b) is above the champion (a)."""

    champion: Cost
    challenger: Cost
    verdict: Verdict


def examine(
    registry: Registry, workspace: Workspace, champion: Version | None, challenger: Version, *, forced: bool
) -> tuple[Comparison | None, list[str]]:
    """Champion against challenger, and all that speaks against a promotion.

    Raises DeepmarkError where the challenger's weights are not what was registered, or the champion cannot be compared:
    the latter is one of the things that speak against it where it is `forced`.
    """
    failed = [
        f"version {challenger.number} was champion before, and was rolled back at {tenure.rolled_back}"
        for tenure in tenures(challenger)[-1:]
        if tenure.rolled_back
    ]
    with tempfile.TemporaryDirectory(prefix="deepmark-promote-") as folder:
        new = Contender(registry, workspace, challenger, Path(folder))
        new.check_weights()
        if champion is None:
            return None, failed
        old = Contender(registry, workspace, champion, Path(folder))
        try:
            old.read_predictions()
        except DeepmarkError as error:
            problem = (
                f"version {champion.number}, the champion, was measured in another way and cannot be measured again: "
                f"{error}"
            )
            if forced:
                return None, [*failed, problem]
            raise DeepmarkError(
                f"{problem} Bring its files back, `deepmark rollback` to a champion that has them, or promote without "
                "a comparison: `deepmark promote --force REASON`."
            ) from None
        comparison = _compare(workspace, old, new)
    return comparison, [*failed, *map(str, comparison.verdict.failed)]


def _compare(workspace: Workspace, champion: Contender, challenger: Contender) -> Comparison:
    from deepmark.data.records import read_records

    params, records = workspace.params, read_records(workspace.records_file("validation"))
    resamples, seed = params.evaluate.resamples, params.evaluate.seed
    found = champion.read_predictions(), challenger.read_predictions()
    with progress("compare", PASSES) as advance:
        differences = compare(records, *found, resamples=resamples, seed=seed, progress=advance)
    overall = {one.metric: one for one in differences if one.scope == "all"}
    champion.remember({name: overall[name].a for name in FIGURES})
    challenger.remember({name: overall[name].b for name in FIGURES})
    old, new = costs(workspace, [champion, challenger])
    verdict = judge(differences, champion=old, challenger=new, params=params.promote)
    return Comparison(differences=tuple(differences), champion=old, challenger=new, verdict=verdict)
