"""How far a stage is, and where, is metadata of its asset: in observations while it runs, and in the result."""

import dagster as dg
import pytest

from deepmark.compute.reported import KEY, Reported
from pipelines.instance import open_instance
from pipelines.materialize import materialize_all


class Losing:
    """An engine that loses a machine after two pieces."""

    name, machines, lost = "ray", 2, 0

    def map_in_order(self, function, items, *, on="core"):
        for number, item in enumerate(items):
            if number == 2:
                self.machines, self.lost = 1, 1
            yield function(item)


def test_the_first_piece_a_loss_and_the_end_are_told_at_once():
    told = []

    assert list(Reported(Losing(), told.append).map_in_order(str, range(4))) == ["0", "1", "2", "3"]

    assert [(message[KEY]["pieces done"], message[KEY]["lost machines"]) for message in told] == [
        (1, 0),
        (3, 1),
        (4, 1),
    ]
    assert told[-1] == {
        KEY: {"engine": "ray", "machines": 1, "pieces done": 4, "pieces": 4, "lost machines": 1},
    }


@pytest.mark.slow
def test_the_pieces_of_a_stage_are_metadata_of_its_asset(workspace):
    materialize_all(workspace, select=["records"])

    with open_instance(workspace) as instance:
        key = dg.AssetKey("records")
        (made, *_) = instance.fetch_materializations(key, limit=1).records
        (seen, *_) = instance.fetch_observations(key, limit=1).records
    assert made.asset_materialization
    assert seen.asset_observation
    shown = {name: value.value for name, value in made.asset_materialization.metadata.items()}
    assert (shown["engine"], shown["machines"], shown["lost machines"]) == ("local", 1, 0)
    assert shown["pieces done"] == shown["pieces"] > 0
    assert seen.asset_observation.metadata["pieces done"].value > 0
    assert seen.asset_observation.partition in ("train", "validation")
