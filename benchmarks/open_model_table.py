"""The tables of benchmarks/open_model.py: figures, gains with intervals, and whether the tests agree on the order."""

import numpy as np
import pandas as pd
from recipe_table import Gains

METRICS = ("box_ap", "box_ap50", "landmark_ap")
COMPARED = ("box_ap", "landmark_ap")
"""The figures that have intervals, see recipe_table.py."""

_ENOUGH = 3
"""Rows; the order of fewer says nothing."""

Found = dict[str, list[dict]]
"""For each row, the figures of each seed."""


def _words(metric: str) -> str:
    return metric.replace("_", " ").replace("ap", "AP")


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mean(seeds: list[dict], test: str, metric: str) -> float:
    return float(np.mean([one[test][metric] for one in seeds]))


def figures_table(found: Found, tests: tuple[str, ...]) -> str:
    """Means over the seeds."""
    columns = ["trained on", *(f"{_words(metric)} on {test}" for test in tests for metric in METRICS), "seconds"]
    rows = []
    for name, seeds in found.items():
        cells = [f"{_mean(seeds, test, metric):.3f}" for test in tests for metric in METRICS]
        rows.append([name, *cells, f"{np.mean([one['seconds'] for one in seeds]):.0f}"])
    return _table(columns, rows)


def gains_table(found: Found, tests: tuple[str, ...], base: str) -> str:
    """What every row gains over one of them, with intervals of 95%."""
    pairs = [(test, metric) for test in tests for metric in COMPARED]
    gains = Gains(found, dict.fromkeys(found, base), pairs)
    columns = [f"against {base}", *(f"{_words(metric)} on {test}" for test, metric in pairs)]
    return _table(columns, [[name, *(gains.text(name, *pair) for pair in pairs)] for name in found if name != base])


def agreement_table(found: Found, tests: tuple[str, ...]) -> str:
    """Spearman's rank correlation of the rows' means between each two tests: 1 where both order the rows alike."""
    if len(found) < _ENOUGH:
        return f"With fewer than {_ENOUGH} rows, the tests have no order to agree on."
    columns, rows = ["rank correlation", *tests], []
    for metric in METRICS:
        means = pd.DataFrame({test: [_mean(seeds, test, metric) for seeds in found.values()] for test in tests})
        ranks = means.rank().corr()  # Pearson's of the ranks is Spearman's
        rows += [
            [f"{_words(metric)} on {test}", *(f"{ranks.loc[test, other]:.2f}" for other in tests)] for test in tests
        ]
    return _table(columns, rows)
