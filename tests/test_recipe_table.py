"""The table of benchmarks/recipes.py: means over seeds, paired gains, and what their intervals are made of."""

import sys

import numpy as np
import pytest
from workspaces import REPOSITORY

sys.path.append(str(REPOSITORY / "benchmarks"))
from recipe_table import recipe_table

BASES = {"modern": "modern", "+ GIoU": "modern", "+ rescoring": "modern"}


def results(*aps: float, spread: float = 0.0) -> list[dict]:
    """Figures of each seed; resamples lie around them by the spread."""
    found = []
    for ap in aps:
        figures = {"box_ap": ap, "box_ap75": ap, "landmark_ap": ap, "rare": ap}
        around = [ap - spread, ap + spread]
        figures |= {"resamples": dict.fromkeys(("box_ap", "landmark_ap"), around)}
        found.append({"plain": figures, "worse": figures, "seconds": 60.0, "teacher_seconds": 0.0, "ms": 7.0})
    return found


def cells(table: str, name: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_gain_is_the_mean_of_the_pairs_and_its_interval_has_images_and_seeds():
    found = {
        "modern": results(0.40, 0.42),
        "+ GIoU": results(0.43, 0.47, spread=0.02),
        "+ rescoring": results(0.40, 0.42),
    }
    table = recipe_table(found, BASES)

    # variance of the gains .03 and .05: 2e-4; of 0 and 0: 0; the rows' mean over two seeds, and images' 4e-4
    half = 1.96 * np.sqrt(1e-4 / 2 + 4e-4)
    assert cells(table, "+ GIoU")[1:3] == ["0.450", f"+0.040 ± {half:.3f}"]
    assert cells(table, "modern")[1:3] == ["0.410", ""]
    assert cells(table, "+ rescoring")[2] == f"+0.000 ± {1.96 * np.sqrt(1e-4 / 2):.3f}"
    assert cells(table, "+ GIoU")[7:] == ["+0.040", "+0.040", "60", "0", "7"]


def test_one_seed_has_no_interval():
    table = recipe_table({"modern": results(0.4), "+ GIoU": results(0.5), "+ rescoring": results(0.4)}, BASES)

    assert cells(table, "+ GIoU")[2] == "+0.100 (one seed)"


@pytest.mark.parametrize("name", BASES)
def test_every_row_has_as_many_cells_as_the_table_has_columns(name):
    table = recipe_table({one: results(0.4, 0.5) for one in BASES}, BASES)

    assert len(cells(table, name)) == len(cells(table, "recipe")) == 12
