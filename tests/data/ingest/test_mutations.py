"""A slice of benchmarks/mutations.py: of mutated inputs none is lost, every reason is true, every record is right."""

import pytest
from coco_mutations import COCO_MUTATIONS, convert_mutated
from mutation_campaign import Tally, ingest_mutated, is_true
from raw_mutations import MUTATIONS

pytestmark = pytest.mark.slow


def faultless(tally: Tally) -> bool:
    return not (tally.lost or tally.untrue or tally.wrong) and tally.accepted + tally.rejected == tally.inputs


def test_raw_inputs_of_every_mutation(tmp_path):
    tallies = ingest_mutated(tmp_path, 2 * len(MUTATIONS), seed=7)

    assert {kind for kind, tally in tallies.items() if not faultless(tally)} == set()
    assert {tally.inputs for tally in tallies.values()} == {2}


def test_coco_data_sets_of_every_mutation(tmp_path):
    tallies = convert_mutated(tmp_path, len(COCO_MUTATIONS), seed=7)

    assert {kind for kind, tally in tallies.items() if not faultless(tally)} == set()
    assert {tally.inputs for tally in tallies.values()} == {1}


@pytest.mark.parametrize(
    ("kind", "reason", "expected"),
    [
        ("box_outside", "item2: bounding_box: lies outside", "box_empty"),  # another fault than the one that was made
        ("box_empty", "item1: bounding_box: is empty", "box_empty"),  # another item
        ("scale", "item2: scale", "any"),  # a fault that the oracle does not see
    ],
)
def test_a_reason_that_is_not_true_is_noticed(kind, reason, expected):
    row = {"name": "000001", "kind": kind, "reason": reason, "path": "annos/000001.json"}
    faults = {("box_empty", "item2"), ("box_outside", "item2")}

    assert not is_true(row, faults, expected)
    assert is_true(row | {"kind": "box_empty", "reason": "item2: bounding_box"}, faults, "box_empty")
