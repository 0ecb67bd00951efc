"""`deepmark rollback` goes back through the history of champions."""

import pytest
from registered import aliases, evaluated
from workspaces import refused

from deepmark.registry.promote import RefusedError, promote, rollback
from deepmark.registry.register import register
from deepmark.registry.versions import CHAMPION, Registry


def test_rollback_goes_back_as_far_as_there_is_history(deepmark, pair):
    promote(pair)
    register(evaluated(pair, finds_every=1, seed=8))
    promote(pair)

    assert deepmark("rollback", "--workspace", pair.root, "--json").facts == {"champion": 2, "rolled_back": 3}
    assert rollback(pair) == {"champion": 1, "rolled_back": 2}
    assert aliases(pair) == {3: (), 2: (), 1: ("champion",)}
    assert refused(deepmark("rollback", "--workspace", pair.root), "version 1 is the first champion")


def test_a_version_that_was_rolled_back_comes_back_by_force_only(pair):
    promote(pair)
    rollback(pair)
    register(pair)
    with pytest.raises(RefusedError, match="version 2 was champion before, and was rolled back at 20"):
        promote(pair)

    promote(pair, force="the fault was elsewhere")

    assert rollback(pair) == {"champion": 1, "rolled_back": 2}


def test_a_champion_chosen_in_mlflow_itself_is_part_of_the_history(pair):
    Registry(pair.root).set_alias(CHAMPION, 2)

    assert rollback(pair) == {"champion": 1, "rolled_back": 2}
