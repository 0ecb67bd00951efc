"""benchmarks/open_model.py: which rows run, its tables, and which photographs are learnt."""

import sys
from pathlib import Path

import pytest
from workspaces import REPOSITORY

from deepmark.errors import DeepmarkError

sys.path.append(str(REPOSITORY / "benchmarks"))
from open_model import BOTH, PLAIN, ROWS, rows_of
from open_model_data import NO_LAYERS, TESTS, divided
from open_model_table import METRICS, agreement_table, figures_table, gains_table


def seeds(*aps: float) -> list[dict]:
    """A seed for each AP, alike on all tests."""
    figures = [{**dict.fromkeys(METRICS, ap), "resamples": {"box_ap": [ap, ap], "landmark_ap": [ap, ap]}} for ap in aps]
    return [{"seconds": 60.0, **dict.fromkeys(TESTS, one)} for one in figures]


FOUND = {PLAIN: seeds(0.1, 0.2), BOTH: seeds(0.3, 0.4), "3d only": seeds(0.3, 0.5)}


def cells(table: str, name: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_every_row_has_as_many_cells_as_the_table_has_columns():
    for table in (figures_table(FOUND, TESTS), gains_table(FOUND, TESTS, PLAIN), agreement_table(FOUND, TESTS)):
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_a_gain_is_over_the_same_seed_and_has_an_interval():
    table = gains_table(FOUND, TESTS, PLAIN)

    assert cells(table, BOTH)[0].startswith("+0.200 ± ")
    assert cells(figures_table(FOUND, TESTS), BOTH)[0] == "0.350"
    assert PLAIN not in [line.split(" | ")[0].strip("| ") for line in table.splitlines()]


def test_tests_that_order_the_rows_the_other_way_round_have_a_rank_correlation_of_minus_one():
    found = {name: [dict(one) for one in rows] for name, rows in FOUND.items()}
    for place, rows in enumerate(found.values()):
        for one in rows:
            one["2d"] = {**one["2d"], "box_ap": -one["3d"]["box_ap"], "landmark_ap": (0.0, 0.2, 0.1)[place]}

    table = agreement_table(found, TESTS)
    assert cells(table, "box AP on 3d") == ["1.00", "-1.00", "1.00", "1.00"]
    assert cells(table, "landmark AP on 3d")[1] == "0.50"


def test_two_rows_have_no_order_to_agree_on():
    assert "fewer than 3 rows" in agreement_table({name: FOUND[name] for name in (PLAIN, BOTH)}, TESTS)


def test_rows_that_others_need_run_with_them(capsys):
    assert list(rows_of(["adapted"], photographs=False)) == [
        PLAIN,
        BOTH,
        "half of each, camera effects",
        "half of each, adapted",
    ]
    assert "photographic" not in capsys.readouterr().err
    assert rows_of(None, photographs=True) == ROWS


def test_the_name_of_a_row_means_that_row_alone():
    assert list(rows_of(["3d only"], photographs=False)) == [PLAIN, "3d only", BOTH]


def test_a_word_that_no_row_has_is_refused_with_the_rows():
    with pytest.raises(DeepmarkError, match=r"--only 4d: no row has this in its name. The rows are 2d only; 3d only;"):
        rows_of(["3d", "4d"], photographs=False)


def test_without_photographs_their_row_is_left_out_with_a_word(capsys):
    assert list(rows_of(None, photographs=False)) == [name for name in ROWS if "photographic" not in name]
    assert "half of each, photographic grounds: left out; --grounds DIR" in capsys.readouterr().err


def test_photographs_are_learnt_or_measured_on_by_their_names():
    files = [Path(f"a/{name}.jpg") for name in range(40)]
    learnt, others = divided(files)

    assert sorted([*learnt, *others]) == sorted(files)
    assert len(others) in range(6, 22)
    assert [one.name for one in divided([Path("b", one.name) for one in files])[0]] == [one.name for one in learnt]
    with pytest.raises(DeepmarkError, match=r"--grounds: of 1 photographs, their names give .* Add more"):
        divided(files[:1])


def test_the_styles_without_layers_differ_in_nothing_else():
    for split, styles in NO_LAYERS.items():
        assert styles.layered == 0
        assert styles.under_outwear == (0, 0, 1), split
