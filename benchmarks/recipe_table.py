"""The table of benchmarks/recipes.py: what each recipe gains over the one it is compared with.

A gain is the mean over the seeds of row - base with the same seed. Its interval of 95% is of two variances: by images,
from resamples that both share, and by seeds, which the rows of the table estimate together, as three of one row would
say little. "Rare" is the mean box AP of short sleeve outwear and sling.
"""

from collections.abc import Iterable

import numpy as np

WITH_INTERVALS = (("plain", "box_ap"), ("plain", "landmark_ap"), ("worse", "landmark_ap"))
"""Which images, and which figure."""


def differences(row: list[dict], base: list[dict], key: str, metric: str) -> np.ndarray:
    """Row - modern by seed."""
    return np.array([a[key][metric] - b[key][metric] for a, b in zip(row, base, strict=True)])


def of_images(row: list[dict], base: list[dict], key: str, metric: str) -> float:
    """The variance by images of the mean difference."""
    pairs = zip(row, base, strict=True)
    found = [np.subtract(a[key]["resamples"][metric], b[key]["resamples"][metric]) for a, b in pairs]
    return float(np.var(np.mean(found, axis=0)))


class Gains:
    """What rows gain over those that `bases` names for them, with intervals for these figures."""

    def __init__(
        self, found: dict[str, list[dict]], bases: dict[str, str], columns: Iterable[tuple[str, str]] = WITH_INTERVALS
    ) -> None:
        self.found, self.bases = found, bases
        self._noise: dict[tuple[str, str], float] = {}
        for key, metric in columns:
            pairs = [differences(found[name], found[base], key, metric) for name, base in bases.items() if name != base]
            varied = [np.var(one, ddof=1) for one in pairs if len(one) > 1]
            self._noise[key, metric] = float(np.mean(varied or [np.nan]))

    def text(self, name: str, key: str, metric: str) -> str:
        """The gain of a row, as a cell; empty for a row that is compared with itself."""
        if name == self.bases[name]:
            return ""
        row, base = self.found[name], self.found[self.bases[name]]
        d = differences(row, base, key, metric)
        if (key, metric) not in self._noise:
            return f"{d.mean():+.3f}"
        variance = of_images(row, base, key, metric) + self._noise[key, metric] / len(d)
        half = 1.96 * np.sqrt(variance)
        return f"{d.mean():+.3f} ± {half:.3f}" if np.isfinite(half) else f"{d.mean():+.3f} (one seed)"


def recipe_table(found: dict[str, list[dict]], bases: dict[str, str]) -> str:
    """The rows as Markdown; `bases` names the row that each is compared with."""
    gain = Gains(found, bases).text

    columns = ["recipe", "box AP", "gain", "landmark AP", "gain", "landmark AP, worse images", "gain", "box AP75 gain"]
    columns += ["rare gain", "seconds of training", "of the teacher", "ms an image"]
    lines = [f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]
    for name in bases:
        mean = {key: np.mean([one[key] for one in found[name]]) for key in ("seconds", "teacher_seconds", "ms")}
        cells = [name]
        for key, metric in WITH_INTERVALS:
            cells += [f"{np.mean([one[key][metric] for one in found[name]]):.3f}", gain(name, key, metric)]
        cells += [gain(name, "plain", "box_ap75"), gain(name, "plain", "rare")]
        lines.append(f"| {' | '.join([*cells, *(f'{value:.0f}' for value in mean.values())])} |")
    return "\n".join(lines)
